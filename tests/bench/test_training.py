"""The bench of training, on few digits and the engines that are here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chiffres.bench import pictures
from chiffres.bench.rows import Measured
from chiffres.bench.training import FLOOR, bench_training, matrix_products
from chiffres.cli import app
from chiffres.data import load_dataset
from chiffres.errors import JobError, UsageError
from chiffres.models import build_model
from chiffres.models.backend import BACKEND
from chiffres.report.words import Words

pytestmark = pytest.mark.skipif(BACKEND != "torch", reason="the bench runs Chiffres on Torch")


@pytest.fixture(scope="module")
def measured() -> Measured:
    said: list[str] = []
    found = bench_training(
        load_dataset("digits"), ["conv-dropout"], 2, {}, lambda *words: said.append(words[1])
    )
    assert said == 2 * ["chiffres", "torch", "keras-torch"]  # in turns
    return found


def test_every_engine_is_timed_as_often(measured: Measured) -> None:
    document = measured.json()
    assert (document["schema"], document["bench"]) == (1, "training")
    epochs = {row["engine"]: row for row in document["rows"] if row["metric"] == "epoch"}
    assert epochs.keys() == {"chiffres", "torch", "keras-torch", FLOOR}
    for row in epochs.values():
        assert (row["subject"], row["unit"], len(row["runs"])) == ("conv-dropout", "s", 2)
        assert min(row["runs"]) > 0
        assert row["median"] == pytest.approx(sum(row["runs"]) / 2)
    (outside,) = (row for row in document["rows"] if row["metric"] == "outside the step")
    assert all(0 < share < 1 for share in outside["runs"])
    assert document["machine"]["versions"]["torch"]["torch"]
    json.dumps(document)


def test_what_was_measured_becomes_a_table_and_bars(measured: Measured) -> None:
    table = pictures.table(measured, Words("fr"))
    assert table.headings == ["moteur", "conv-dropout"]
    assert [row[0] for row in table.rows][:3] == ["Chiffres", "Torch seul", "Keras sur Torch"]
    assert table.rows[0][1].endswith("(× 1,0)")
    (axes,) = pictures.bars(measured, Words("en")).axes
    assert len(axes.patches) == 3
    assert axes.get_title() == "conv-dropout"


DOCS = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("page", "language"),
    [
        ("README.md", "en"),
        ("README.fr.md", "fr"),
        ("docs/speed.md", "en"),
        ("docs/speed.fr.md", "fr"),
    ],
)
def test_the_tables_of_the_docs_are_what_was_measured(page: str, language: str) -> None:
    """`chiffres bench training --from docs/speed.json --markdown` prints them."""
    table = pictures.table(
        Measured.from_json(DOCS / "docs/speed.json", "training"), Words(language)
    )
    assert table.markdown() in (DOCS / page).read_text(encoding="utf-8")


def test_what_was_saved_can_be_shown_again(measured: Measured, tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps(measured.json()), encoding="utf-8")
    assert Measured.from_json(path, "training") == measured
    options = ["bench", "training", "--from", str(path), "--markdown", "--lang", "en"]
    shown = CliRunner().invoke(app, options).stdout.splitlines()
    assert shown[:2] == ["| engine | conv-dropout |", "| --- | ---: |"]
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"expected what bench training --json writes"):
        Measured.from_json(path, "training")


def test_the_matrix_products_are_those_of_the_layers() -> None:
    """conv-pool: 26 x 26 places of 9 x 32 weights; 5408 x 128; 128 x 10."""
    by_hand = 2 * (2 * 676 * 9 * 32 + 3 * 5408 * 128 + 3 * 128 * 10)
    assert matrix_products(build_model("conv-pool")) == by_hand


def test_a_peer_that_is_not_known_or_not_there_is_refused(tmp_path: Path) -> None:
    digits = load_dataset("digits")
    with pytest.raises(UsageError, match="unknown peer 'theano'; known: tensorflow, jax"):
        bench_training(digits, ["dense"], 1, {"theano": tmp_path}, print)
    with pytest.raises(UsageError, match="scripts/setup-backend jax"):
        bench_training(digits, ["dense"], 1, {"jax": tmp_path / "python"}, print)


def test_a_peer_that_stops_is_said_with_its_last_words(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such backend >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(JobError, match="keras-jax stopped with exit code 3: no such backend"):
        bench_training(load_dataset("digits"), ["dense"], 1, {"jax": python}, print)


def test_the_command_writes_one_document(tmp_path: Path) -> None:
    chart = tmp_path / "bars.png"
    options = ["--data", "digits", "--models", "dense", "--epochs", "1", "--chart", str(chart)]
    done = CliRunner().invoke(app, ["bench", "training", *options, "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["machine"]["dataset"]["name"] == "digits"
    assert "dense, torch: " in done.stderr
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_wrong_usage_is_said_without_a_traceback() -> None:
    done = CliRunner().invoke(app, ["bench", "training", "--data", "digits", "--peer", "x=y"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: unknown peer 'x'")
    assert CliRunner().invoke(app, ["bench", "training", "--models", "con"]).exit_code == 2
