"""The bench of reading, on few pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from typer.testing import CliRunner

from chiffres.bench import engines, pictures, processes
from chiffres.bench.reading import ALL, SPEED, VARIED, bench_reading, score, steps
from chiffres.bench.rows import Measured, Row
from chiffres.bench.sets import SETS, Layout, cases, cut_outs, mnist_files, optical
from chiffres.bench.variants import SCALES, TURNED, VARIANTS, Original
from chiffres.cli import app
from chiffres.data import Dataset, load_dataset
from chiffres.errors import UsageError
from chiffres.reading import Reader
from chiffres.report.words import Words

needs_tesseract = pytest.mark.skipif(
    engines.Tesseract.find() is None, reason="Tesseract is not installed (tesseract-ocr)"
)
lines = st.lists(st.text("0123456789", min_size=1, max_size=4), max_size=4)


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    """Make small pictures, which take less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chiffres.data.pages.WIDEST", 400)
        patch.setattr("chiffres.data.pages.blank.WIDEST", 400)
        patch.setattr(processes, "PHOTOGRAPH", (400, 300))
        patch.setattr("chiffres.bench.variants.LARGEST", 400)
        yield


@pytest.fixture(scope="module")
def measured(mnist_5k: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("pictures")
    counts: dict[str, int] = {}

    def advance(name: str, count: int) -> None:
        counts[name] = counts.get(name, 0) + count

    found = bench_reading(mnist_5k, "validation", 3, 5, runs=1, save=folder, advance=advance)
    assert sum(counts.values()) == steps(ALL, 3)
    found.machine["folder"] = str(folder)
    return found


def test_every_set_is_read(measured: Measured) -> None:
    document = measured.json()
    json.dumps(document)
    assert (document["schema"], document["bench"]) == (1, "reading")
    shares = {row["subject"]: row for row in document["rows"] if row["engine"] == "chiffres"}
    kinds = {*SETS, *VARIANTS, "mnist-files", "optical", "cut-outs", "photograph", "28x28"}
    assert shares.keys() >= kinds
    for row in document["rows"]:
        if row["unit"] == "share":
            low, high = row["interval"]
            assert 0 <= low <= row["median"] <= high <= 1
            assert row["n"] >= 3
        else:
            assert row["unit"] in {"s", "ms", "MB"}
            assert min(row["runs"]) > 0
    assert document["machine"]["part"] == "validation"
    assert document["machine"]["versions"]["onnxruntime"]


def test_what_was_measured_becomes_a_table(measured: Measured) -> None:
    table = pictures.reading_table(measured, Words("fr"))
    assert table.headings[:3] == ["images", "nombre", "Chiffres"]
    assert "un chiffre" in [row[0] for row in table.rows]
    assert all(len(row) == len(table.headings) for row in table.rows)


def test_the_pictures_are_written_with_what_was_read(measured: Measured) -> None:
    folder = Path(measured.machine["folder"])
    assert {each.name for each in folder.iterdir()} == {*SETS, "optical", "cut-outs", VARIED}
    for name in SETS:
        manifest = json.loads((folder / name / "manifest.json").read_text(encoding="utf-8"))
        assert len(manifest) == 3
        for entry in manifest:
            assert entry.keys() == {"file", "lines", "read", "right", "made"}
            with Image.open(folder / name / entry["file"]) as image:
                assert image.width >= 24


@pytest.mark.parametrize(
    ("truth", "found", "layout", "expected"),
    [
        (["3"], ["3"], "digit", (1, 1)),
        (["3"], ["?"], "digit", (0, 1)),
        (["3"], ["3", "1"], "digit", (0, 1)),
        (["345"], ["34", "5"], "line", (0, 1)),
        (["1", "22", "3"], ["1", "3"], "lines", (2, 3)),
        (["1", "22", "3"], ["1", "22", "9", "3"], "lines", (2, 3)),
        (["1"], ["2", "3", "4"], "lines", (0, 1)),
        ([], [], "nothing", (1, 1)),
        ([], ["??"], "nothing", (1, 1)),
        ([], ["7"], "nothing", (0, 1)),
    ],
)
def test_what_counts_as_right(
    truth: list[str], found: list[str], layout: Layout, expected: tuple[int, int]
) -> None:
    assert score(truth, found, layout) == expected


@given(lines, lines)
def test_all_lines_are_right_only_where_all_are_read(truth: list[str], found: list[str]) -> None:
    right, total = score(truth, found, "lines")
    assert 0 <= right <= total == len(truth)
    assert truth == [] or (right == total) == (truth == found)


def test_a_set_is_made_of_its_seed(mnist_5k: Dataset) -> None:
    for name in SETS:
        few = list(cases(name, mnist_5k.validation, 1, seed=3))
        more = list(cases(name, mnist_5k.validation, 2, seed=3))
        assert np.array_equal(few[0].picture, more[0].picture)
        assert few[0].lines == more[0].lines


def test_scikit_learns_digits_are_tested_on_those_never_seen() -> None:
    tested, others = (optical(part, 2000, seed=0) for part in ("test", "validation"))
    assert (len(tested), len(others)) == (180, 1617)


def test_cut_outs_reach_from_top_to_bottom(mnist_5k: Dataset) -> None:
    for case in cut_outs(mnist_5k.validation, 30, seed=1):
        picture = np.asarray(case.picture)
        ink = picture if case.made["light on dark"] else 255 - picture
        assert ink.shape[0] == ink.shape[1] == pytest.approx(16 * case.made["scale"], abs=1)
        rows = np.flatnonzero(ink.max(axis=1) > 64)
        assert rows[-1] + 1 - rows[0] >= 0.9 * len(ink)


@given(st.sampled_from(sorted(TURNED)), st.integers(0, 2**32))
def test_a_turned_file_shows_upright(orientation: int, seed: int) -> None:
    from chiffres.bench.sets import png

    upright = np.random.default_rng(seed).integers(0, 255, (5, 9), np.uint8)
    stored = np.ascontiguousarray(TURNED[orientation](upright))
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(png(stored, orientation))))
    np.testing.assert_array_equal(np.asarray(shown), upright)


def test_variants_show_the_same_digits(mnist_5k: Dataset) -> None:
    original = Original(np.random.default_rng(0), mnist_5k.validation)
    np.testing.assert_array_equal(255 - np.asarray(original.inverted()), original.picture)
    scaled = original.scaled()
    assert not isinstance(scaled, bytes)
    assert SCALES[0] - 0.02 <= len(scaled) / len(original.picture) <= SCALES[1]
    assert original.text.isdigit()


def test_resizing_reads_mnists_own_images(mnist_5k: Dataset) -> None:
    made = mnist_files(mnist_5k.validation, 50)
    read = engines.Resized(Reader()).read(made, "digit")
    assert sum(found == case.lines for found, case in zip(read, made, strict=True)) >= 48


@needs_tesseract
def test_tesseract_reads_print_and_keeps_the_order() -> None:
    from chiffres.bench.sets import Case
    from chiffres.data.glyphs import typeset

    made = []
    for text in ("4075", "", "1923", "38"):
        sheet = Image.new("L", (260, 120), 255)
        if text:
            ink = typeset(text, "DejaVuSans").resize((160, 50))
            sheet.paste(0, (50, 35), ink)
        made.append(Case(np.array(sheet.convert("RGB")), [text] if text else [], {}))
    tesseract = engines.Tesseract.find()
    assert tesseract
    assert tesseract.read(made, "line") == [case.lines for case in made]
    assert tesseract.version[0].isdigit()


def test_the_command_writes_one_document(tmp_path: Path) -> None:
    options = ["--data", "digits", "--part", "validation", "--n", "2"]
    options += ["--sets", "sketches,optical", "--json"]
    done = CliRunner().invoke(app, ["bench", "reading", *options])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert {row["subject"] for row in document["rows"]} == {"sketches", "optical"}
    path = tmp_path / "measured.json"
    path.write_text(done.stdout, encoding="utf-8")
    shown = CliRunner().invoke(
        app, ["bench", "reading", "--from", str(path), "--markdown", "--lang", "en"]
    )
    assert shown.stdout.startswith("| pictures | number | Chiffres |")
    other = CliRunner().invoke(app, ["bench", "training", "--from", str(path)])
    assert other.exit_code == 2
    assert "it is of bench reading" in other.stderr


def test_a_set_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown set 'strngs'; known: single, "):
        bench_reading(load_dataset("digits"), "validation", 1, 1, ["strngs"])


def test_a_row_that_is_no_share_has_no_interval() -> None:
    assert (
        "interval"
        not in Measured("reading", {}, [Row("a", "b", "c", "s", [1.0])]).json()["rows"][0]
    )
    assert SPEED in ALL


@pytest.mark.parametrize(("page", "language"), [("reading.md", "en"), ("reading.fr.md", "fr")])
def test_the_tables_of_the_docs_are_what_was_measured(page: str, language: str) -> None:
    """`chiffres bench reading --from docs/reading.json --markdown` prints them."""
    docs = Path(__file__).parents[2] / "docs"
    measured = Measured.from_json(docs / "reading.json", "reading")
    table = pictures.reading_table(measured, Words(language))
    assert table.markdown() in (docs / page).read_text(encoding="utf-8")
