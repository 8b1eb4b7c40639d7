"""Shipping a model: the same model in another form, one file per target."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from chiffres.errors import UnknownNameError, UsageError
from chiffres.export import keras_files, onnx_file, tflite_file
from chiffres.export.c import folder

__all__ = ["TARGETS", "export_model"]

TARGETS = {
    "c": folder.export_c,
    "h5": keras_files.export_h5,
    "keras": keras_files.export_keras,
    "onnx": onnx_file.export_onnx,
    "tflite": tflite_file.export_tflite,
}
"""A function ``(model, out, …) -> path written`` for each target; some take options by name."""


def export_model(
    model: str | Path, target: str, out: str | Path | None = None, **options: Any
) -> Path:
    """Write a trained model in another form.

    Args:
        model: a run folder, a ``.keras`` or an ``.h5`` file.
        target: ``"h5"``, ``"keras"``, ``"onnx"``, ``"tflite"`` or ``"c"``.
        out: the file to write, or the folder; by default a name in the current folder (the lab's,
            for its own models).
        options: what the target takes besides, and is not None.

    Returns:
        The file or folder written.

    Raises:
        UnknownNameError: there is no such target.
        UsageError: the model has no such form, or the target takes no such option.
        ModelFileError: the model cannot be loaded.
    """
    if target not in TARGETS:
        raise UnknownNameError("target", target, TARGETS)
    export = TARGETS[target]
    given = {name: value for name, value in options.items() if value is not None}
    unknown = given.keys() - inspect.signature(export).parameters.keys()
    if unknown:
        raise UsageError(
            f"the target {target!r} takes no {', '.join(sorted(unknown))}; leave it out"
        )
    return export(Path(model), Path(out) if out else None, **given)
