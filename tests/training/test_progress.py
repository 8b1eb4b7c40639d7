from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from chiffres.data import Dataset
from chiffres.errors import TrainingError
from chiffres.training.recipe import load_recipe
from chiffres.training.train import train

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


class Terminal(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of standard error; after a fixture, pytest would undo it."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_where_there_is_no_terminal_an_epoch_is_a_line(
    small: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    train(load_recipe("dense", ["epochs=2", "scale=unit"]), tmp_path / "run", dataset=small)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf"dense  epoch {epoch}/2  loss \d+\.\d{{4}} accuracy \d\.\d{{4}}"
            r"  validation loss \d+\.\d{4} accuracy \d\.\d{4}",
            line,
        )


def test_a_terminal_shows_a_bar_and_has_its_cursor_back(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = terminal(monkeypatch)
    train(load_recipe("dense", ["epochs=2", "scale=unit"]), tmp_path / "run", dataset=small)
    text = stderr.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "epoch 2/2" in plain
    assert re.search(
        r"epoch 2/2 ━+ 4/4 loss \d+\.\d{3} accuracy \d\.\d{3} \d:\d\d:\d\d left", plain
    )
    assert re.search(r"epoch 2/2  loss .* validation loss \d+\.\d{4} accuracy \d\.\d{4}", plain)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)


def test_a_terminal_has_its_cursor_back_after_a_failure(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = terminal(monkeypatch)
    recipe = load_recipe("dense", ["optimizer=sgd", "learning_rate=1e30"])
    with pytest.raises(TrainingError):
        train(recipe, tmp_path / "run", dataset=small)
    text = stderr.getvalue()
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
