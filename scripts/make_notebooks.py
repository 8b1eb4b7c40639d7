"""Make the notebooks of the course, in French and English, from notebooks/course.py.

    python scripts/make_notebooks.py [--check]

The script is what is written and reviewed; the notebooks are what a student opens, committed so
that nothing need be made first. With ``--check`` nothing is written: exit 1 where a notebook is
not what the script makes.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from chiffres.report.words import french_spaces, languages
from chiffres.storage import write_text

FOLDER = Path(__file__).parents[1] / "notebooks"
SCRIPT = FOLDER / "course.py"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(language: str, *, solved: bool = False) -> Any:
    """Return the course in one language.

    Args:
        language: ``"fr"`` or ``"en"``.
        solved: with the solutions where a student finds the places for answers.
    """
    left_out = "answer" if solved else "solution"
    cells = [
        cell
        for cell in _cells()
        if cell.metadata.get("lang", language) == language
        and left_out not in cell.metadata.get("tags", [])
    ]
    made = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    for number, cell in enumerate(cells):
        source = cell.source
        if language == "fr" and cell.cell_type == "markdown":
            source = french_spaces(source)
        new = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        made.cells.append(new(source, id=f"cell-{number}"))
    nbformat.validate(made)
    return made


def _cells() -> list[Any]:
    read: list[Any] = jupytext.read(SCRIPT, fmt="py:percent").cells
    return [cell for cell in read if not cell.source.startswith("# The course in both languages")]


def pairs() -> list[tuple[str, str]]:
    """Return every text in French and in English.

    Raises:
        ValueError: a text is not followed by the same in the other language.
    """
    told = [cell for cell in _cells() if cell.metadata.get("lang")]
    found = []
    for french, english in zip(told[::2], told[1::2], strict=True):
        if (french.metadata.lang, english.metadata.lang) != ("fr", "en"):
            raise ValueError(f"not French, then English: {french.source[:60]!r}")
        if _structure(french.source) != _structure(english.source):
            raise ValueError(f"the languages differ in form: {french.source[:60]!r}")
        found.append((french.source, english.source))
    return found


def _structure(text: str) -> tuple[list[str], list[str], int]:
    """Return what both languages have alike: headings and numbers, code, count of paragraphs."""
    marks = re.findall(r"^#+(?: \d+\.)?|^\*\*Exerci[cs]e \d+", text, re.MULTILINE)
    code = sorted(re.findall(r"`[^`]+`", text))
    return [mark.replace("Exercise", "Exercice") for mark in marks], code, text.count("\n\n")


def main(check: bool) -> int:
    """Write the notebooks, or say which are not what the script makes."""
    pairs()
    stale = []
    for language in languages():
        path = FOLDER / f"course.{language}.ipynb"
        text = nbformat.writes(notebook(language)) + "\n"
        if not check:
            write_text(path, text)
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"{', '.join(stale)}: not what {SCRIPT.name} makes; run make notebooks")
    return bool(stale)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where stale")
    sys.exit(main(parser.parse_args().check))
