"""Keras at the machine's speed: the same model, the same ``fit``, on faster operations.

``accelerate(model)`` is all there is to call. ``layers`` lowers the layers to Torch operations,
``kernels`` has those that Torch does badly at the size of a digit, ``step`` learns from a batch,
``optimizers`` updates the weights and ``arrays`` makes the batches.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chiffres.errors import UsageError
from chiffres.models.backend import BACKEND, keras

if TYPE_CHECKING:
    from chiffres.native.team import Team

logger = logging.getLogger("chiffres.native")


def accelerate(
    model: keras.Sequential,
    training_loss: Callable[[Any, Any], Any] | None = None,
    bfloat16: bool = False,
    team: Team | None = None,
) -> keras.Sequential:
    """Let ``model`` train natively inside Keras's own ``fit``; return it.

    It stays a Keras model: compile it (before or after), pass callbacks, save and load it as
    ever. One that has a layer or an option without a native form, or another backend than Torch,
    trains with plain Keras instead, and the log ``chiffres.native`` says why, once.

    The results are plain Keras's, but for rounding, the masks of dropout, and a (sparse)
    categorical cross-entropy after a softmax, which is taken from the logits, as Keras on
    TensorFlow does: digits that the model gives a probability below 1e-7 are learnt too.

    ``fit`` then raises TrainingError where the loss is not a number.

    Several workers learn from each batch as one would: each is to be given the same batches, and
    takes its rows; plain Keras has no such thing, so ``fit`` raises UsageError in its place.

    Args:
        model: layers in a row.
        training_loss: of labels and logits, what is minimised in place of the cross-entropy that
            the model is compiled with, which evaluation keeps to.
        bfloat16: train with products of bfloat16 numbers, where the processor has them. Weights,
            sums and all that is measured afterwards stay float32.
        team: the workers that train together, of which this process is one.
    """
    if BACKEND != "torch":
        _say_why(model.name, f"the backend is {BACKEND}, not torch")
        return model
    from chiffres.native.arrays import from_memory
    from chiffres.native.memory import keep_freed_memory

    keep_freed_memory()
    plain = type(model)

    @functools.wraps(plain.fit)
    def fit(*arguments: Any, **named: Any) -> Any:
        bound = inspect.signature(plain.fit).bind(model, *arguments, **named)
        bound.apply_defaults()
        options = from_memory(bound.arguments)
        if not isinstance(options["callbacks"], keras.callbacks.CallbackList):
            options["callbacks"] = [*keras.tree.flatten(options["callbacks"] or []), InOneThread()]
        return plain.fit(**options)

    model.fit = fit
    model.make_train_function = functools.partial(
        _make_function, model, "train", training_loss, bfloat16, team
    )
    model.make_test_function = functools.partial(_make_function, model, "test", None, False, team)
    return model


class InOneThread(keras.callbacks.Callback):  # type: ignore[misc]
    """Does nothing after a batch, so that Keras does it at once.

    Callbacks that do nothing there at all make Keras start a thread that does it for them, and
    takes a processor from the step each time.
    """

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Do nothing."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Do nothing."""


def _make_function(
    model: keras.Sequential,
    kind: str,
    training_loss: Any,
    bfloat16: bool,
    team: Team | None,
    force: bool = False,
) -> None:
    """Set the model's train or test function. Anew each time: layers may have changed."""
    from chiffres.native.layers import NotLowered
    from chiffres.native.step import Step

    try:
        function = getattr(Step(model, kind == "train", training_loss, bfloat16, team), kind)
    except NotLowered as reason:
        if team and team.size > 1:
            raise UsageError(
                f"{model.name} trains with plain Keras: {reason}; train it with one worker"
            ) from reason
        _say_why(model.name, str(reason))
        getattr(type(model), f"make_{kind}_function")(model, force=True)
    else:
        setattr(model, f"{kind}_function", function)


@functools.cache
def _say_why(name: str, reason: str) -> None:
    logger.warning("%s trains with plain Keras: %s", name, reason)
