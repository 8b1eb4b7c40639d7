"""The pages of the site that are made from the code: every command, every public docstring.

MkDocs calls the functions that begin with ``on_``; see ``hooks`` in ``mkdocs.yml``.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import chiffres
from chiffres.cli import app
from chiffres.report.words import french_spaces

COMMANDS = "reference/commands.md"
PARTS = (
    *("data", "models", "training", "native", "evaluation", "export", "reading", "report"),
    *("lab", "course", "serve", "bench"),
)
"""The parts of the package, from the bottom layer up; one that is not there is left out."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages made here at the end of the navigation."""
    pages: list[Any] = [{"Commands": COMMANDS}]
    pages += [{f"chiffres.{part}": _path(part)} for part in _parts()]
    config.nav = [*(config.nav or []), {"Reference": pages}]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages to those that lie in ``docs``."""
    files.append(File.generated(config, COMMANDS, content=commands_page()))
    for part in _parts():
        files.append(File.generated(config, _path(part), content=_part_page(part)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Let the punctuation of French pages not break from its word; code is left as it is."""
    if not page.file.src_uri.endswith(".fr.md"):
        return markdown
    parts = re.split(r"(```.*?```|`[^`\n]*`)", markdown, flags=re.DOTALL)
    return "".join(part if part.startswith("`") else french_spaces(part) for part in parts)


def commands(command: Any = None, name: str = "chiffres") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command, and the command; groups come before their own."""
    command = command or typer.main.get_command(app)
    yield name, command
    for below, each in getattr(command, "commands", {}).items():
        yield from commands(each, f"{name} {below}")


def commands_page() -> str:
    """Return the page of all commands with their arguments and options, as Markdown."""
    sections = [_command_section(name, command) for name, command in commands()]
    return "\n\n".join(["# Commands", *sections]) + "\n"


def _command_section(name: str, command: Any) -> str:
    lines = [f"## `{name}`", "", command.help or ""]
    if command.epilog:
        lines += ["", "```", command.epilog.removeprefix("Example: "), "```"]
    if command.params:
        lines += ["", "| argument, option | value | |", "|---|---|---|"]
        lines += [_parameter_row(parameter) for parameter in command.params]
    return "\n".join(lines)


def _parameter_row(parameter: Any) -> str:
    named = parameter.param_type_name == "option"
    name = ", ".join(parameter.opts) if named else parameter.metavar or parameter.name.upper()
    value = parameter.metavar if named and parameter.metavar else ""
    default = parameter.default
    usual = f" Default: `{default}`." if named and default not in (None, "", False, [], ()) else ""
    cells = (f"`{name}`", f"`{value}`" if value else "", f"{parameter.help}{usual}")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _parts() -> list[str]:
    root = Path(chiffres.__file__).parent
    return [part for part in PARTS if (root / part / "__init__.py").is_file()]


def _path(part: str) -> str:
    return f"reference/{part}.md"


def _part_page(part: str) -> str:
    """Return the page of one part of the package: all its modules, by their docstrings."""
    folder = Path(chiffres.__file__).parent / part
    names = [f"chiffres.{part}"]
    names += sorted(
        module.name
        for module in pkgutil.walk_packages([str(folder)], f"chiffres.{part}.")
        if not module.name.rpartition(".")[2].startswith("_")  # compiled kernels
    )
    return "\n\n".join([f"# chiffres.{part}", *(f"::: {name}" for name in names)]) + "\n"
