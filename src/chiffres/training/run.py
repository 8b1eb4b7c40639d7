"""The folder that one training leaves, and what can be read from it.

``recipe.toml``, ``history.csv``, ``model.keras``, ``metrics.json`` and ``environment.json``. They
are renewed after each epoch, each whole or not at all, so that an interrupted training resumes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import chiffres
from chiffres.data import Dataset
from chiffres.errors import RunError
from chiffres.models.named import MODEL_FILE, find_model
from chiffres.storage import replacing, write_text
from chiffres.training.mirror import Mirror
from chiffres.training.recipe import Recipe, load_recipe

SCHEMA = 1
COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
"""The columns of ``history.csv`` after ``epoch``, named as in Keras's ``History``."""
PACKAGES = ("keras", "torch", "tensorflow-cpu", "tensorflow", "jax", "numpy", "scikit-learn")

History = dict[str, list[float]]


@dataclass(frozen=True)
class Run:
    """One training's folder.

    Attributes:
        folder: where its files lie.
        mirror: where what is written there is put too, if anywhere.
    """

    folder: Path
    mirror: Mirror | None = None

    @property
    def model_path(self) -> Path:
        """The model with its optimizer, as it was after the last finished epoch."""
        return self.folder / MODEL_FILE

    @property
    def exists(self) -> bool:
        """Whether a training was ever begun here."""
        return (self.folder / "recipe.toml").is_file()

    @property
    def finished(self) -> bool:
        """Whether all epochs of the recipe were trained."""
        return self.exists and self.metrics().get("epochs") == self.recipe().epochs

    def recipe(self) -> Recipe:
        """Return what was trained; raise RunError where the folder is not a run."""
        if not self.exists:
            raise RunError(f"{self.folder}: not a run folder: it has no recipe.toml")
        return load_recipe(str(self.folder / "recipe.toml"))

    def history(self) -> History:
        """Return loss and accuracy of the training and validation part after each epoch."""
        path = self.folder / "history.csv"
        if not path.is_file():
            return {column: [] for column in COLUMNS}
        try:
            rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
            return {column: [float(row[column]) for row in rows] for column in COLUMNS}
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: expected the columns {COLUMNS} of numbers: {error}") from error

    def metrics(self) -> dict[str, Any]:
        """Return the content of ``metrics.json``, empty before the first epoch is done."""
        return self._json("metrics.json")

    def environment(self) -> dict[str, Any]:
        """Return the content of ``environment.json``."""
        return self._json("environment.json")

    def start(self, recipe: Recipe, dataset: Dataset, backend: str, workers: int = 1) -> None:
        """Write down what is about to be trained, on what, with what."""
        made_with = environment(dataset, backend)
        if workers > 1:
            made_with["workers"] = workers
        start = [recipe.start] if recipe.start else []
        for what, models in (("start", start), ("teacher", recipe.teachers)):
            if models:
                contents = [find_model(model).read_bytes() for model in models]
                checksums = [hashlib.sha256(content).hexdigest() for content in contents]
                made_with[f"{what}_sha256"] = ", ".join(checksums)
        self._write_json("environment.json", made_with)
        self._write("recipe.toml", recipe.toml())

    def write_history(self, history: History) -> None:
        """Write ``history.csv``, one row per epoch."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", *COLUMNS])
        for epoch, row in enumerate(zip(*(history[name] for name in COLUMNS), strict=True), 1):
            writer.writerow([epoch, *row])
        self._write("history.csv", text.getvalue())

    def save(self, model: Any) -> None:
        """Write ``model.keras``, with the optimizer."""
        with replacing(self.model_path) as temporary:
            model.save(temporary)
        if self.mirror:
            self.mirror.put(self.model_path)

    def record(self, **metrics: Any) -> None:
        """Add ``metrics`` to ``metrics.json``, replacing those of the same name."""
        self._write_json("metrics.json", self.metrics() | metrics)

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{path}: not JSON: {error}") from error
        if not isinstance(content, dict):
            raise RunError(f"{path}: expected a JSON object, found {content!r:.50}")
        return content

    def _write_json(self, name: str, content: dict[str, Any]) -> None:
        self._write(name, json.dumps(content, indent=2) + "\n")

    def _write(self, name: str, text: str) -> None:
        write_text(self.folder / name, text)
        if self.mirror:
            self.mirror.put(self.folder / name)


def environment(dataset: Dataset, backend: str) -> dict[str, Any]:
    """Return what a run was made with: versions, machine, commit and data, as JSON."""
    return {
        "schema": SCHEMA,
        "chiffres": chiffres.__version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "backend": backend,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.checksum,
            "train": len(dataset.train_indices),
            "validation": len(dataset.validation_indices),
            "test": len(dataset.test),
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the processor's name; Python's own answer is empty on most Linux systems."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """Return the commit of the checkout that this package runs from, None when installed."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD", "--show-toplevel"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    commit, top = found.stdout.splitlines()
    return commit if (Path(top) / "src" / "chiffres").is_dir() else None
