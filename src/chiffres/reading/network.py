"""The classifier behind a reader: an ONNX file, from images in MNIST's format to probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from chiffres.data.dataset import CLASSES, SIDE
from chiffres.data.strokes import Floats
from chiffres.errors import MissingExtraError, ModelFileError, UsageError
from chiffres.models.named import SHIPPED
from chiffres.reading.onnx_checks import MAX_BYTES, check_onnx

BATCH = 64
"""Images that go through the network at once: more would be slower, and take more memory."""
THRESHOLD = 0.96
"""The confidence below which a digit is rejected, where the model's file does not say."""


class Network:
    """A classifier of digits; any number of threads may ask it at once.

    Attributes:
        threshold: the confidence below which an answer is not to be trusted, 0 to 1.
    """

    def __init__(self, model: bytes, name: str, threads: int = 0) -> None:
        """Load a model.

        Args:
            model: the bytes of an ONNX file.
            name: what to call it in an error.
            threads: how many the network computes on; 0 = as many as there are cores.

        Raises:
            ModelFileError: damaged, too large, with anything but well-known operators or with
                parts outside the file, or from another shape than ``(n, 28, 28)`` uint8 to another
                than ``(n, 10)`` float32.
        """
        try:
            check_onnx(model)
            self._session = ort.InferenceSession(
                model, session_options(threads), providers=["CPUExecutionProvider"]
            )
            self._input = self._check_ends()
        except ModelFileError as error:
            raise ModelFileError(f"{name}: {error}") from error
        except Exception as error:  # ONNX Runtime's errors have no common base
            reason = (str(error).strip() or repr(error)).splitlines()[0][:200]
            raise ModelFileError(f"{name}: ONNX Runtime cannot load it: {reason}") from error
        self.threshold = self._threshold(name)

    def _check_ends(self) -> str:
        """Return the input's name, once the model has been tried on one image."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(uint8)":
            kinds = ", ".join(f"{each.type} {each.shape}" for each in inputs) or "nothing"
            raise ModelFileError(f"expected one input, (n, 28, 28) uint8, found {kinds}")
        for count in (1, 2):
            images = np.zeros((count, SIDE, SIDE), np.uint8)
            answer = self._session.run(None, {inputs[0].name: images})[0]
            if answer.shape != (count, CLASSES) or answer.dtype != np.float32:
                raise ModelFileError(
                    f"expected the output ({count}, 10) float32, found {answer.shape} "
                    f"{answer.dtype}"
                )
        return str(inputs[0].name)

    def _threshold(self, name: str) -> float:
        text = self._session.get_modelmeta().custom_metadata_map.get("threshold", THRESHOLD)
        try:
            threshold = float(text)
        except ValueError:
            threshold = -1.0
        if not 0 <= threshold <= 1:
            raise ModelFileError(f"{name}: its threshold is {text!r}; expected a number, 0 to 1")
        return threshold

    def __call__(self, images: npt.NDArray[np.uint8]) -> Floats:
        """Return the probabilities of ``images`` ``(n, 28, 28)`` uint8, ``(n, 10)`` float32."""
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        answers = [self._session.run(None, {self._input: batch})[0] for batch in batches]
        return np.concatenate([np.zeros((0, CLASSES), np.float32), *answers])


class StringNetwork:
    """What reads digits that touch along a strip; any number of threads may ask it at once."""

    def __init__(self, model: bytes | None = None, threads: int = 0) -> None:
        """Load a model.

        Args:
            model: the bytes of an ONNX file, by default of the one that comes with Chiffres.
            threads: how many the network computes on; 0 = as many as there are cores.
        """
        self._session = ort.InferenceSession(
            shipped("strings") if model is None else model,
            session_options(threads),
            providers=["CPUExecutionProvider"],
        )

    def __call__(self, strips: npt.NDArray[np.uint8]) -> Floats:
        """Return what is read along strips; see ``chiffres.models.strings``.

        Args:
            strips: ``(n, 28, width)`` uint8, of an even width.

        Returns:
            ``(n, 11, width / 2)`` float32.
        """
        answers = self._session.run(None, {"strips": strips})[0]
        return np.asarray(answers[:, :, 0], np.float32)


def shipped(name: str) -> bytes:
    """Return the ONNX file that comes with Chiffres under this name."""
    return (SHIPPED / f"{name}.onnx").read_bytes()


def session_options(threads: int) -> ort.SessionOptions:
    """Return options for a session that computes on ``threads``, and waits without spinning."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def model_bytes(model: str | Path | bytes | None) -> tuple[bytes, str]:
    """Return an ONNX model's bytes and what to call it.

    Args:
        model: None, for the model that comes with Chiffres; the bytes or the path of an ONNX file;
            or a run folder, a ``.keras`` or an ``.h5`` file, which the extra ``train`` converts.

    Raises:
        UsageError: there is no such folder or file.
        MissingExtraError: it has to be converted, and the extra ``train`` is not installed.
        ModelFileError: it cannot be loaded.
    """
    if model is None:
        return shipped("reader"), "the model that comes with Chiffres"
    if isinstance(model, bytes):
        return model, "the model"
    path = Path(model).expanduser()
    if path.suffix != ".onnx":
        return _converted(path), str(model)
    if not path.is_file():
        raise UsageError(f"{model}: no such file")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1), str(model)


def _converted(path: Path) -> bytes:
    """Return a Keras model as ONNX; the only place where reading asks for the training's extra."""
    try:
        from chiffres.export.onnx_file import onnx_bytes
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading with a Keras model", "train", error.name) from error
    return onnx_bytes(path)
