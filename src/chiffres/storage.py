"""Where files live, and how one is written so that a crash never leaves half of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder of Chiffres, or ``$CHIFFRES_CACHE`` where that is set."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("CHIFFRES_CACHE")
    return Path(chosen) if chosen else user_cache_path("chiffres", appauthor=False)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``, renamed to ``path`` once the block has succeeded.

    The temporary name keeps the suffix, because Keras and NumPy choose the format by it. When
    the block raises, the temporary file is removed and ``path`` is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files in ``folder`` that killed processes left half written."""
    for path in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\d+\.\w+", path.name):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
