"""A run's files on shared storage, from where another machine goes on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed")

from chiffres.data import Dataset
from chiffres.errors import MissingExtraError, UsageError
from chiffres.training.mirror import FILES, Mirror
from chiffres.training.recipe import Recipe, load_recipe
from chiffres.training.run import Run
from chiffres.training.train import train

LONG: list[str] = ["epochs=3", "scale=unit", "learning_rate=0.001"]


def recipe(epochs: int = 3) -> Recipe:
    return load_recipe("dense", [*LONG, f"epochs={epochs}"])


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if name != "environment.json"}


@pytest.fixture(params=["memory", "folder", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    stored = tmp_path / "stored"
    known = {"memory": f"memory://{uuid4()}/run", "folder": str(stored), "file": f"file://{stored}"}
    return known[request.param]


def test_another_machine_goes_on_from_there(
    url: str, small: Dataset, dense_run: Run, tmp_path: Path
) -> None:
    first = train(recipe(1), tmp_path / "here", dataset=small, storage=url)
    (first.folder / "recipe.toml").write_text(recipe(3).model_copy(update={"data": "small"}).toml())
    assert first.mirror
    first.mirror.put(first.folder / "recipe.toml")
    shutil.rmtree(first.folder)
    run = train(recipe(), tmp_path / "there", dataset=small, storage=url, resume=True)
    assert run.history() == dense_run.history()
    Mirror(url).fetch(tmp_path / "fetched")
    assert content(tmp_path / "fetched") == content(run.folder)
    assert {path.name for path in (tmp_path / "fetched").iterdir()} == set(FILES)
    with pytest.raises(UsageError, match="holds a run already"):
        train(recipe(), tmp_path / "elsewhere", dataset=small, storage=url)


def test_a_run_that_was_begun_here_is_put_there_when_it_goes_on(
    url: str, small: Dataset, dense_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(dense_run.folder, tmp_path / "run")
    train(recipe(), tmp_path / "run", dataset=small, storage=url, resume=True)
    Mirror(url).fetch(tmp_path / "fetched")
    assert content(tmp_path / "fetched") == content(dense_run.folder)


def test_another_run_there_replaces_nothing_here(
    url: str, small: Dataset, dense_run: Run, tmp_path: Path
) -> None:
    Mirror(url).put_all(dense_run.folder)
    other = recipe(1)
    run = train(other, tmp_path / "run", dataset=small)
    before = content(run.folder)
    with pytest.raises(UsageError, match=r"cannot be resumed with another recipe \(epochs") as told:
        train(other, run.folder, dataset=small, storage=url, resume=True)
    assert str(told.value).startswith(url)
    assert content(run.folder) == before


def test_what_was_never_stored_leaves_no_file(url: str, tmp_path: Path) -> None:
    mirror = Mirror(url)
    assert not mirror.holds_a_run
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "model.keras").write_text("of an epoch that the storage knows nothing of")
    mirror.fetch(tmp_path / "here")
    assert not list((tmp_path / "here").iterdir())


def test_no_such_storage() -> None:
    with pytest.raises(UsageError, match="storage nothing://x: "):
        Mirror("nothing://x")


def test_what_the_storage_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match=r"storage s3://bucket/run: .*s3fs"):
        Mirror("s3://bucket/run")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"chiffres\[cluster\]"):
        Mirror("s3://bucket/run")
