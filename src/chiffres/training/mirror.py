"""A run's files on shared storage: a bucket, a server, a folder that other machines see.

What is written into a run's folder is put there too, file by file and in the same order, each
whole or not at all; so a training that was cut off goes on from there as it does from its folder.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chiffres.errors import MissingExtraError, UsageError
from chiffres.storage import replacing

FILES = ("model.keras", "history.csv", "metrics.json", "environment.json", "recipe.toml")
"""A run's, the last of which says that there is one."""


class Mirror:
    """Where a run's files are put besides its folder.

    Args:
        url: of the run, as fsspec understands it: ``s3://bucket/run``, or a folder.

    Raises:
        MissingExtraError: fsspec is not installed.
        UsageError: there is no such storage, or what it needs is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise MissingExtraError("shared storage", "cluster", error.name) from error
        self.url = url
        try:
            self.files: Any
            self.files, self.path = url_to_fs(url)
        except (ImportError, ValueError) as error:  # "Install s3fs to access S3", and the like
            raise UsageError(f"storage {url}: {error}") from error

    @property
    def holds_a_run(self) -> bool:
        """Whether a training was ever begun there."""
        self.files.invalidate_cache()
        return bool(self.files.exists(self._at("recipe.toml")))

    def put(self, path: Path) -> None:
        """Put a file of the run there."""
        temporary = self._at(f".{path.stem}.{os.getpid()}{path.suffix}")
        self.files.makedirs(self.path, exist_ok=True)
        self.files.put_file(str(path), temporary)
        self.files.mv(temporary, self._at(path.name))

    def put_all(self, folder: Path) -> None:
        """Put all of the run's files there that ``folder`` has."""
        for name in FILES:
            if (folder / name).is_file():
                self.put(folder / name)

    def fetch(self, folder: Path, names: Sequence[str] = FILES) -> None:
        """Bring the run's files into ``folder``, in place of those that are there."""
        self.files.invalidate_cache()
        for name in names:
            if self.files.exists(self._at(name)):
                with replacing(folder / name) as temporary:
                    self.files.get_file(self._at(name), str(temporary))
            else:
                (folder / name).unlink(missing_ok=True)

    def _at(self, name: str) -> str:
        return posixpath.join(self.path, name)
