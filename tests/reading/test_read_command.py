"""``chiffres read``."""

from __future__ import annotations

import csv
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from chiffres.cli import app
from chiffres.cli.reading import COLUMNS
from tests.reading.made import Grey, as_file, on_paper, row_of

pytestmark = pytest.mark.usefixtures("reader")


def chiffres(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [*map(str, ("read", "--lang", "en", *arguments))], input=stdin)


@pytest.fixture
def folder(tmp_path: Path, sure: dict[int, list[Grey]]) -> Path:
    """Two pictures with numbers on them, a blank one, and one that is none."""
    for name, number in (("a.png", "305"), ("b.jpg", "27")):
        ink = row_of([sure[int(value)][0] for value in number])
        Image.fromarray(on_paper(ink)).save(tmp_path / name)
    Image.new("L", (90, 60), 255).save(tmp_path / "blank.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("not a picture, and not asked for")
    return tmp_path


def test_one_picture(folder: Path) -> None:
    done = chiffres(folder / "a.png")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "305\n", "")


def test_nothing_read_is_said_and_no_error(folder: Path) -> None:
    done = chiffres(folder / "blank.png")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"{folder / 'blank.png'}: no digit found\n"


def test_one_bad_file_is_reported_and_the_others_are_read(folder: Path) -> None:
    done = chiffres(folder)
    assert done.exit_code == 1
    assert done.stdout == f"{folder / 'a.png'}: 305\n{folder / 'b.jpg'}: 27\n"
    assert done.stderr.splitlines() == [
        f"{folder / 'blank.png'}: no digit found",
        f"error: {folder / 'broken.png'}: not an image of a known format",
    ]


def test_what_is_missing_is_reported_likewise(folder: Path) -> None:
    done = chiffres(folder / "none.png", folder / "no*.gif", folder / "b.jpg")
    assert done.exit_code == 1
    assert done.stdout == f"{folder / 'b.jpg'}: 27\n"
    assert done.stderr.count("cannot be read: No such file or directory") == 2


def test_pillow_s_own_complaints_are_not_printed(folder: Path) -> None:
    content = as_file(np.zeros((9, 9, 3), np.uint8), "TIFF")
    samples, many = (struct.pack("<HHIHH", 277, 3, 1, count, 0) for count in (3, 512))
    assert samples in content
    (folder / "odd.tif").write_bytes(content.replace(samples, many))
    done = subprocess.run(
        [sys.executable, "-m", "chiffres", "read", str(folder / "odd.tif")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    done = chiffres(tmp_path)
    assert done.exit_code == 1
    assert done.stderr == f"error: {tmp_path}: cannot be read: it is a folder\n"


def test_a_glob(folder: Path) -> None:
    done = chiffres(folder / "[ab].*")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 2)


def test_standard_input(sure: dict[int, list[Grey]]) -> None:
    done = chiffres("-", stdin=as_file(on_paper(row_of([sure[6][1], sure[4][1]]))))
    assert (done.exit_code, done.stdout) == (0, "64\n")
    done = chiffres("-", stdin=b"")
    assert (done.exit_code, done.stderr) == (1, "error: the picture: empty: a file of 0 bytes\n")


def test_json_is_one_document(folder: Path) -> None:
    done = chiffres(folder, "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    found = {Path(picture["path"]).name: picture for picture in document["pictures"]}
    assert list(found) == ["a.png", "b.jpg", "blank.png", "broken.png"]
    assert found["a.png"]["lines"] == [found["a.png"]["text"]] == ["305"]
    assert found["a.png"]["error"] is None
    assert found["blank.png"] == {
        "path": str(folder / "blank.png"),
        "text": "",
        "lines": [],
        "digits": [],
        "error": None,
    }
    assert found["broken.png"]["error"].endswith("not an image of a known format")
    for digit in found["a.png"]["digits"]:
        assert set(digit) == {"value", "confidence", "box", "alternatives"}
        assert digit["alternatives"][0] == [digit["value"], digit["confidence"]]
        assert len(digit["box"]) == 4


def test_csv_has_a_line_per_digit(folder: Path) -> None:
    done = chiffres(folder, "--csv")
    assert done.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert tuple(rows[0]) == COLUMNS
    read = [(Path(row["path"]).name, row["place"], row["value"]) for row in rows]
    assert read == [
        *(("a.png", str(place), value) for place, value in enumerate("305", 1)),
        *(("b.jpg", str(place), value) for place, value in enumerate("27", 1)),
        ("blank.png", "", ""),
        ("broken.png", "", ""),
    ]


def test_the_picture_is_annotated_and_explained(folder: Path) -> None:
    boxes, stages = folder / "boxes.png", folder / "stages.png"
    done = chiffres(folder / "a.png", "--annotate", boxes, "--explain", stages)
    assert (done.exit_code, done.stdout) == (0, "305\n")
    with Image.open(folder / "a.png") as picture, Image.open(boxes) as drawn:
        assert drawn.size == picture.size
        changed = np.asarray(drawn.convert("RGB")) != np.asarray(picture.convert("RGB"))
        assert changed.any()
    with Image.open(stages) as drawn:
        assert drawn.width > 3 * drawn.height / 2


def test_of_several_each_is_drawn_into_a_folder(folder: Path) -> None:
    done = chiffres(folder / "a.png", folder / "b.jpg", "--annotate", folder / "drawn")
    assert done.exit_code == 0
    assert sorted(path.name for path in (folder / "drawn").iterdir()) == ["a.png", "b.png"]
    done = chiffres(folder / "a.png", folder / "b.jpg", "--annotate", folder / "one.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "2 pictures cannot be drawn into one file; name a folder" in done.stderr


def test_a_blank_page_is_explained_too(folder: Path) -> None:
    for language, words in (("en", "no digit found"), ("fr", "aucun chiffre trouvé")):
        done = chiffres(folder / "blank.png", "--explain", folder / "x.png", "--lang", language)
        assert done.exit_code == 0
        assert words in done.stderr
        assert (folder / "x.png").stat().st_size > 500


def test_an_image_in_mnist_s_format_that_is_no_digit_is_explained_too(folder: Path) -> None:
    corner = np.zeros((28, 28), np.uint8)
    corner[5:25, 8:11] = corner[5:8, 8:24] = corner[22:25, 8:24] = 255
    Image.fromarray(corner).save(folder / "corner.png")
    done = chiffres(folder / "corner.png", "--explain", folder / "x.png", "--reject-below", 1)
    assert (done.exit_code, done.stdout) == (0, "")
    assert (folder / "x.png").is_file()


def test_what_is_unsure_shows_as_a_question_mark(folder: Path) -> None:
    document = json.loads(chiffres(folder / "a.png", "--json").stdout)
    surest = max(digit["confidence"] for digit in document["pictures"][0]["digits"])
    least = np.nextafter(np.float32(surest), 0) - 1e-6
    text = chiffres(folder / "a.png", "--reject-below", least).stdout.strip()
    assert all(read in (expected, "?") for read, expected in zip(text, "305", strict=True))
    done = chiffres(folder / "a.png", "--reject-below", 7)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "error: reject_below = 7.0: expected a confidence, 0 to 1\n"


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("--json", "--csv"), 2, "--json and --csv exclude each other; choose one"),
        (("--model", "none.onnx"), 2, "none.onnx: no such file"),
    ],
)
def test_wrong_options(folder: Path, arguments: tuple[str, ...], code: int, problem: str) -> None:
    done = chiffres(folder / "a.png", *arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", f"error: {problem}\n")


def test_names_in_other_scripts(folder: Path) -> None:
    path = folder / "зображення 画像 é.png"
    (folder / "a.png").replace(path)
    assert chiffres(path, folder / "b.jpg").stdout.splitlines()[0] == f"{path}: 305"
