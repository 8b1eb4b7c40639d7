"""The command line: arguments in, words and pictures out.

Nothing heavy is imported before a command needs it, so that ``chiffres --help`` is immediate.
"""

from __future__ import annotations

import sys

from chiffres.cli import bench, comparing, data, judging, reading, serve, training
from chiffres.cli.app import app

__all__ = ["app", "bench", "comparing", "data", "judging", "main", "reading", "serve", "training"]


def main() -> None:
    """Run the command line; what ``chiffres`` and ``python -m chiffres`` call."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    app()
