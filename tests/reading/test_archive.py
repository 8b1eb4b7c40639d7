"""``chiffres read --out``: any number of pictures to Parquet, each once, whatever stops it."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from chiffres.cli import app
from chiffres.errors import JobError, UsageError
from chiffres.reading import Reader
from chiffres.reading.archive import Archive, prepare, read_part
from chiffres.reading.engines import in_processes
from chiffres.reading.listing import listed
from tests.reading.made import Grey, on_paper, row_of

pa = pytest.importorskip("pyarrow", reason="the extra cluster is not installed")
pq = pytest.importorskip("pyarrow.parquet", reason="the extra cluster is not installed")

pytestmark = pytest.mark.usefixtures("reader")


def chiffres(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["read", "--lang", "en", *map(str, arguments)])


def rows(folder: Path) -> list[dict[str, object]]:
    """Return what is in a folder of Parquet files, as anyone would read it."""
    found: list[dict[str, object]] = pq.read_table(folder).to_pylist()
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*"))}


@pytest.fixture
def pictures(tmp_path: Path, sure: dict[int, list[Grey]]) -> Path:
    """Ten numbers in two folders, a blank page and a file that is no picture."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for value in range(10):
        place = folder / "more" if value % 2 else folder
        sheet = on_paper(row_of([sure[value][0], sure[3][1]]))
        Image.fromarray(sheet).save(place / f"{value}3.png")
    Image.new("L", (90, 60), 255).save(folder / "blank.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def test_the_rows_are_those_of_json(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "readings.parquet"
    done = chiffres(pictures, "--out", out, "--workers", 1)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(
        f"12 pictures in {out}, 1 of them unreadable; 12 read now, in "
    )
    expected = json.loads(chiffres(pictures, "--json").stdout)["pictures"]
    for picture in expected:
        for digit in picture["digits"]:
            names = ("value", "probability")
            digit["alternatives"] = [
                dict(zip(names, pair, strict=True)) for pair in digit["alternatives"]
            ]
    assert rows(out) == expected
    assert [Path(row["path"]).stem for row in expected if row["error"]] == ["broken"]
    assert {row["text"] for row in expected} >= {f"{value}3" for value in range(10)}


def test_what_is_read_is_not_read_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "readings.parquet"
    (pictures / "broken.png").unlink()
    assert chiffres(pictures, "--out", out, "--workers", 1).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    again = chiffres(pictures, "--out", out, "--workers", 1)
    assert again.exit_code == 0
    assert again.stderr == (
        f"11 pictures in {out}, 0 of them unreadable; 0 read now, in 0 s, 0 per second\n"
    )
    assert {path: path.stat().st_mtime_ns for path in out.glob("part-*")} == before


def test_the_missing_parts_are_read_and_the_files_are_the_same_whoever_reads(
    pictures: Path, tmp_path: Path
) -> None:
    one, two = (prepare([str(pictures)], tmp_path / name, part_size=5) for name in "ab")
    for part in one.missing():
        read_part(one, part)
    assert sorted(contents(one.folder)) == [f"part-0000{number}.parquet" for number in range(3)]
    read_part(two, two.missing()[1])
    (two.folder / ".part-00002.1234.parquet").write_bytes(b"half")
    two = prepare([str(pictures)], two.folder, part_size=5)
    assert [part.number for part in two.missing()] == [0, 2]
    assert sorted(part.number for part in in_processes(two, 2)) == [0, 2]
    assert contents(two.folder) == contents(one.folder)
    assert (one.unreadable(), two.unreadable(), two.missing()) == (1, 1, [])
    assert {path.name for path in two.folder.iterdir()} - contents(two.folder).keys() == {
        "_plan.json",
        "_pictures.txt",
    }


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is not of Windows")
def test_a_reading_that_is_killed_goes_on(pictures: Path, tmp_path: Path) -> None:
    names = tmp_path / "list.txt"
    paths = [str(path) for path in sorted(pictures.rglob("*.png")) if path.stem != "broken"]
    names.write_text("\n".join(paths * 60), encoding="utf-8")
    out = tmp_path / "out"
    command = ["read", str(names), "--out", str(out), "--workers", "1"]
    process = subprocess.Popen([sys.executable, "-m", "chiffres", *command])
    while not contents(out):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = contents(out)
    assert chiffres(*command[1:]).exit_code == 0
    assert kept.items() <= contents(out).items()
    assert [row["path"] for row in rows(out)] == paths * 60


def test_a_process_that_dies_is_one_line(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = prepare([str(pictures)], tmp_path / "out", part_size=4)
    monkeypatch.setattr("chiffres.reading.engines.read_part", die)
    with pytest.raises(JobError, match=r"a process died, .*the same command goes on"):
        list(in_processes(archive, 2))
    monkeypatch.undo()
    assert len(list(in_processes(archive, 1))) == 3


def die(*_: object) -> None:
    os._exit(9)


def test_what_the_reader_fails_at_is_a_row_too(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of all things")

    archive = prepare([str(pictures / "03.png")], tmp_path / "out")
    monkeypatch.setattr(Reader, "read", fail)
    read_part(archive, archive.missing()[0])
    (row,) = rows(archive.folder)
    assert row["error"] == f"{pictures / '03.png'}: ZeroDivisionError in the reader: of all things"


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["pictures/03.png"], {}, "pictures 12, now 1"),
        (["pictures"], {"reject_below": 0.5}, "reject_below None, now 0.5"),
        (["pictures"], {"part_size": 3}, "part_size 128, now 3"),
        (["pictures"], {"model": "other.onnx"}, "model_sha256 '[0-9a-f]+', now"),
    ],
)
def test_another_reading_is_not_mixed_in(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    options: dict[str, object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = prepare(["pictures"], "out")
    other = begun.model.replace(b"\x050.1.0", b"\x050.1.1")  # who made it
    (tmp_path / "other.onnx").write_bytes(other)
    plan = (begun.folder / "_plan.json").read_bytes()
    with pytest.raises(UsageError, match=f"out: was begun otherwise .*{message}"):
        prepare(names, "out", **options)  # type: ignore[arg-type]
    assert (begun.folder / "_plan.json").read_bytes() == plan
    assert len(begun.paths(begun.missing()[0])) == 12


def test_a_folder_with_something_else_is_left_alone(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"pictures: holds something else \(.*\); choose another"):
        prepare([str(pictures)], pictures)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="file: not a folder"):
        prepare([str(pictures)], file)
    begun = prepare([str(pictures)], tmp_path / "out")
    (begun.folder / "_plan.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"_plan\.json: damaged"):
        prepare([str(pictures)], begun.folder)


def test_lists_in_all_formats(tmp_path: Path) -> None:
    names = ["a.png", "folder/b c.jpg", "é,ü.png"]
    (tmp_path / "list.txt").write_text("\n".join([*names[:2], "", *names[2:]]), encoding="utf-8")
    table = pa.table({"number": [1, 2, 3], "path": names})
    with (tmp_path / "list.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("number", "path"), *enumerate(names)])
    pq.write_table(table, tmp_path / "list.parquet")
    for kind in ("txt", "csv", "parquet"):
        assert list(listed([str(tmp_path / f"list.{kind}")])) == names
    lists = [str(tmp_path / "list.txt"), "z.png", str(tmp_path / "list.csv")]
    assert list(listed(lists)) == [*names, "z.png", *names]


def test_names_that_are_no_text_are_read(pictures: Path, tmp_path: Path) -> None:
    strange = os.fsdecode(b"\xff\xfe.png")
    try:
        (pictures / "03.png").rename(pictures / strange)
    except OSError:
        pytest.skip("this file system has no such names")
    archive = prepare([str(pictures / strange), str(pictures / "a\nb.png")], tmp_path / "out")
    read_part(archive, archive.missing()[0])
    first, second = rows(archive.folder)
    assert (first["path"], first["text"]) == (f"{pictures}/\\udcff\\udcfe.png", "03")
    assert second["path"] == f"{pictures}/a\nb.png"
    assert "No such file" in str(second["error"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "none.txt: no such file"),
        ("empty.txt", b"\n\n", "no picture is named"),
        (
            "other.csv",
            b"file,size\na.png,3\n",
            "other.csv: expected a column 'path', found file, size",
        ),
        ("empty.csv", b"", "empty.csv: expected a column 'path', found none"),
        ("broken.parquet", b"PAR1 and no more", "broken.parquet: no Parquet file: "),
    ],
)
def test_a_list_that_is_none(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = chiffres(tmp_path / name, "--out", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x", "--json"), "--out excludes --json"),
        (("--workers", 2), "--on and --workers are for --out"),
        (("--on", "ray"), "--on and --workers are for --out"),
        (("--out", "x", "--on", "rya"), "--on 'rya': expected local, ray or ray://HOST:PORT"),
        (("-", "--out", "x"), "standard input is no file of an archive"),
        (("--out", "x", "--reject-below", 7), "reject_below = 7.0: expected a confidence"),
    ],
)
def test_wrong_options(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = chiffres(pictures, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_without_pyarrow_the_extra_is_named(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    done = chiffres(pictures, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "pip install 'chiffres[cluster]'" in done.stderr


@given(
    names=st.lists(st.text(st.characters(exclude_categories=[]), min_size=1), min_size=1),
    size=st.integers(1, 9),
    read=st.sets(st.integers(0, 9)),
)
def test_the_parts_that_are_missing_are_all_pictures_in_order(
    names: list[str], size: int, read: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    lines = [json.dumps(name).encode() + b"\n" for name in names]
    (folder / "_pictures.txt").write_bytes(b"".join(lines))
    archive = Archive(folder, len(names), size, b"", None)
    parts = archive.missing()
    assert [part.number for part in parts] == list(range(-(-len(names) // size)))
    assert all(part.size == size for part in parts[:-1])
    assert list(itertools.chain.from_iterable(map(archive.paths, parts))) == names
    for number in read:
        archive.file(number).touch()
    assert archive.missing() == [part for part in parts if part.number not in read]


def test_a_longer_list_has_larger_parts_not_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chiffres.reading.archive.MOST_PARTS", 3)
    (tmp_path / "list.txt").write_text("x.png\n" * 1000, encoding="utf-8")
    archive = prepare([str(tmp_path / "list.txt")], tmp_path / "out")
    assert [part.size for part in archive.missing()] == [334, 334, 332]


def test_folders_are_listed_as_sorted_paths_are(tmp_path: Path) -> None:
    for name in ("b/1.png", "b.png", "a/z/2.png", "a/3.png", "a-/4.png", "notes.txt", "B/5.PNG"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = sorted(path for path in tmp_path.rglob("*") if path.suffix.lower() == ".png")
    assert list(listed([str(tmp_path)])) == [str(path) for path in found]
    assert len(found) == 6
