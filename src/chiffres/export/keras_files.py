"""Keras's own two files: ``.keras``, and the ``.h5`` that the lab saves."""

from __future__ import annotations

from pathlib import Path

from absl import logging

from chiffres.errors import UsageError
from chiffres.models.files import load_model
from chiffres.models.named import find_model
from chiffres.storage import replacing
from chiffres.training.run import Run

LAB_NAMES = {"conv": "Lab2.mnist.conv", "conv-dropout": "Lab2_conv_dropout"}
"""What the lab calls the files of its models, without the suffix."""


def export_h5(model: Path, out: Path | None = None) -> Path:
    """Write the model, without its optimizer, as one HDF5 file."""
    return _export(model, out, ".h5")


def export_keras(model: Path, out: Path | None = None) -> Path:
    """Write the model, without its optimizer, as one ``.keras`` file."""
    return _export(model, out, ".keras")


def _export(model: Path, out: Path | None, suffix: str) -> Path:
    loaded = load_model(model, compile=False)
    path = output_path(model, out, suffix)
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # Keras's advice against .h5: it was asked for
    try:
        with replacing(path) as temporary:
            loaded.save(temporary)
    finally:
        logging.set_verbosity(verbosity)
    return path


def output_path(model: Path, out: Path | None, suffix: str) -> Path:
    """Return where an export of ``model`` goes: ``out``, else its default name here.

    Raises:
        UsageError: there lies the model itself.
    """
    path = out or Path(default_name(model) + suffix)
    if path.suffix != suffix:  # Keras chooses the format by it
        path = path.with_name(path.name + suffix)
    if path.exists() and path.samefile(find_model(model)):
        raise UsageError(f"{path}: is the model itself; its optimizer would be lost")
    return path


def default_name(model: Path) -> str:
    """Return what an export of ``model`` is called, without the suffix: the lab's own name for it.

    Else its model's or, of a single file, its own.
    """
    name = model_name(model)
    return LAB_NAMES.get(name, name) if model.is_dir() else name


def model_name(model: Path) -> str:
    """Return the name of a run's model or, of a single file, the file's without its suffix."""
    return Run(model).recipe().model if model.is_dir() else model.stem
