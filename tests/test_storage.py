from __future__ import annotations

from pathlib import Path

import pytest

from chiffres.storage import cache_folder, remove_unfinished, replacing, write_text


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert contents(tmp_path) == {"model.keras": b"new"}


def test_the_temporary_file_is_beside_with_the_same_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "deep" / "er" / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path / "deep" / "er"
        temporary.touch()


def write_half(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_half(path, error)
    assert contents(tmp_path) == {"history.csv": b"old"}


def test_a_failure_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "new.json", KeyboardInterrupt)
    assert contents(tmp_path) == {}


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert contents(tmp_path) == {"model.h5": b"old"}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    kept = ["model.keras", ".gitignore", ".model.keras", ".hidden.d"]
    for name in [*kept, ".model.4711.keras", ".metrics.1.json"]:
        (tmp_path / name).write_bytes(b"")
    remove_unfinished(tmp_path)
    assert sorted(contents(tmp_path)) == sorted(kept)


def test_the_temporary_name_is_one_that_is_removed(tmp_path: Path) -> None:
    with replacing(tmp_path / "lab.mnist.h5") as temporary:
        temporary.write_bytes(b"")
        remove_unfinished(tmp_path)
        assert contents(tmp_path) == {}
        temporary.write_bytes(b"")


def test_text_is_utf_8_with_unix_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "précision\nréseau\n")
    assert contents(tmp_path) == {"text": b"pr\xc3\xa9cision\nr\xc3\xa9seau\n"}


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHIFFRES_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("CHIFFRES_CACHE", "")
    assert cache_folder().is_absolute()
    assert "chiffres" in cache_folder().parts
