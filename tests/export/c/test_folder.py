"""``--to c``: the folder, its example, its limits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chiffres.bench.embedded import run
from chiffres.cli import app
from chiffres.errors import ModelFileError, UsageError
from chiffres.export import export_model
from chiffres.export.c.folder import PLACES, REJECT_BELOW
from chiffres.models.backend import keras
from chiffres.training.run import Run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_folder_has_what_each_world_looks_for(dense_run: Run, here: Path) -> None:
    written = export_model(dense_run.folder, "c", data="mnist-5k")
    assert written == Path("dense-c")
    assert {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()} == {
        *PLACES
    }
    assert [path.name for path in here.iterdir()] == ["dense-c"]
    readme = (written / "README.md").read_text()
    assert "trained on mnist-5k" in readme
    assert f"REJECT_BELOW {REJECT_BELOW}u" in (written / "examples/desktop/main.c").read_text()
    properties = dict(
        line.split("=", 1) for line in (written / "library.properties").read_text().splitlines()
    )
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert required | {"url", "architectures"} <= properties.keys()


def test_the_example_runs(dense_run: Run, compiler: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("no make on the path")
    written = export_model(dense_run.folder, "c", data="mnist-5k")
    said = run("make", "-C", str(written), "run", f"CC={compiler}")
    assert said.count("confidence") == 3
    assert said.count("score of 9") == 3


def test_another_export_replaces_the_first(dense_run: Run) -> None:
    for _ in range(2):
        written = export_model(dense_run.folder, "c", "mine", data="mnist-5k")
    assert written == Path("mine")
    assert {path.name for path in written.rglob("*") if path.is_file()} == {
        Path(place).name for place in PLACES
    }


def test_a_file_in_the_way_is_kept(dense_run: Run, here: Path) -> None:
    (here / "mine").write_text("precious")
    with pytest.raises(UsageError, match="mine: not a folder; choose another"):
        export_model(dense_run.folder, "c", "mine", data="mnist-5k")
    assert (here / "mine").read_text() == "precious"


def test_what_does_not_fit_is_refused_and_leaves_nothing(dense_run: Run, here: Path) -> None:
    arguments = ["export", str(dense_run.folder), "--to", "c", "--data", "mnist-5k"]
    result = CliRunner().invoke(app, [*arguments, "--max-flash", "16384", "--max-ram", "4096"])
    assert result.exit_code == 2
    assert "flash takes 33" in result.output
    assert "over the limit of 16,384" in result.output
    assert "RAM takes" not in result.output
    assert list(here.iterdir()) == []


def test_the_command_says_what_it_wrote(dense_run: Run) -> None:
    arguments = ["export", str(dense_run.folder), "--to", "c", "--data", "mnist-5k"]
    result = CliRunner().invoke(app, [*arguments, "--max-flash", "400000"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("dense-c: ")


def test_other_targets_take_no_limits(dense_run: Run) -> None:
    with pytest.raises(UsageError, match="the target 'onnx' takes no max_ram; leave it out"):
        export_model(dense_run.folder, "onnx", max_ram=1)


def test_only_digits_are_exported() -> None:
    keras.Sequential([keras.Input((784,)), keras.layers.Dense(9)]).save("model.keras")
    with pytest.raises(ModelFileError, match=r"gives outputs of shape \(None, 9\)"):
        export_model("model.keras", "c", data="mnist-5k")
