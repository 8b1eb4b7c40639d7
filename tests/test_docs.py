"""The documentation is whole: every command and option, and every link leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mkdocs", reason="the extra docs is not installed")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import docs_hooks  # noqa: E402

COMMANDS = dict(docs_hooks.commands())
PAGE = docs_hooks.commands_page()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_all_that_it_takes(name: str) -> None:
    command: Any = COMMANDS[name]
    (section,) = [part for part in PAGE.split("\n## ") if part.startswith(f"`{name}`\n")]
    assert command.help, "no docstring"
    assert command.help in section
    if not hasattr(command, "commands"):
        assert command.epilog, "no example"
        assert command.epilog.startswith(f"Example: {name}")
    for parameter in command.params:
        shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        assert parameter.help, f"{shown}: no help"
        assert shown in section


def test_every_page_stands_in_the_navigation_in_both_languages() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages <= set(navigation)
    french = {page.replace(".fr.md", ".md") for page in pages if page.endswith(".fr.md")}
    english = {page for page in pages if not page.endswith(".fr.md")}
    assert english - french == {"design.md"}
    assert french <= english


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stdout + built.stderr
    reference = (tmp_path / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    assert "chiffres sweep" in reference
    compare = (tmp_path / "reference" / "evaluation" / "index.html").read_text(encoding="utf-8")
    assert "McNemar" in compare
    for page in tmp_path.rglob("index.html"):
        html = page.read_text(encoding="utf-8")
        assert "fonts.googleapis" not in html
