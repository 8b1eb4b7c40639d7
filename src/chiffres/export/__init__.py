"""Shipping a model: the same model in another form, one file per target."""

from __future__ import annotations

from pathlib import Path

from chiffres.errors import UnknownNameError
from chiffres.export import keras_files, onnx_file

__all__ = ["TARGETS", "export_model"]

TARGETS = {
    "h5": keras_files.export_h5,
    "keras": keras_files.export_keras,
    "onnx": onnx_file.export_onnx,
}
"""A function ``(model, out) -> path written`` for each target."""


def export_model(model: str | Path, target: str, out: str | Path | None = None) -> Path:
    """Write a trained model in another form.

    Args:
        model: a run folder, a ``.keras`` or an ``.h5`` file.
        target: ``"h5"``, ``"keras"`` or ``"onnx"``.
        out: the file to write; by default a name in the current folder (the lab's, for its own
            models).

    Returns:
        The file written.

    Raises:
        UnknownNameError: there is no such target.
        UsageError: the model has no such form.
        ModelFileError: the model cannot be loaded.
    """
    if target not in TARGETS:
        raise UnknownNameError("target", target, TARGETS)
    return TARGETS[target](Path(model), Path(out) if out else None)
