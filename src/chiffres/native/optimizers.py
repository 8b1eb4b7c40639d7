"""Keras's Adam, AdamW and SGD through Torch's fused kernels, on Keras's own variables.

Only the update itself is replaced: clipping, decay, averaging, accumulation, constraints,
schedules, saving and resuming stay Keras's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch


def fuse(optimizer: Any) -> None:
    """Let ``optimizer`` update float32 variables with one fused kernel, where there is one."""
    # Keras puts a class of its own backend in the place of the public one.
    if not type(optimizer).__module__.startswith("keras."):
        return
    update = _UPDATES.get(type(optimizer).__name__)
    if update is None or getattr(optimizer, "nesterov", False):
        return

    def backend_update_step(
        gradients: Sequence[torch.Tensor], variables: Sequence[Any], learning_rate: Any
    ) -> None:
        values = [variable.value for variable in variables]
        index = [optimizer._get_variable_index(variable) for variable in variables]
        in_order = [gradient.contiguous() for gradient in gradients]  # what the kernels assume
        with torch.no_grad():
            update(optimizer, values, in_order, index, float(learning_rate))

    optimizer._backend_update_step = backend_update_step


def _values(variables: Sequence[Any], index: Sequence[int]) -> list[torch.Tensor]:
    return [variables[i].value for i in index]


def _adam(
    optimizer: Any,
    values: list[torch.Tensor],
    gradients: list[torch.Tensor],
    index: list[int],
    learning_rate: float,
) -> None:
    """Keras adds epsilon to the root of the velocity, Torch to that of the corrected velocity."""
    step = int(optimizer.iterations) + 1
    torch._fused_adam_(
        values,
        gradients,
        _values(optimizer._momentums, index),
        _values(optimizer._velocities, index),
        _values(optimizer._velocity_hats, index) if optimizer.amsgrad else [],
        [torch.tensor(float(step))] * len(values),
        lr=learning_rate,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        weight_decay=0.0,
        eps=optimizer.epsilon / math.sqrt(1 - optimizer.beta_2**step),
        amsgrad=optimizer.amsgrad,
        maximize=False,
    )


def _sgd(
    optimizer: Any,
    values: list[torch.Tensor],
    gradients: list[torch.Tensor],
    index: list[int],
    learning_rate: float,
) -> None:
    """Keras's momentum holds the step itself, m ← μ m - η g, where Torch's holds gradients.

    So Torch is told to add (1 - dampening) g = -η g, and to take the step with a rate of -1.
    """
    momentum = optimizer.momentum
    torch._fused_sgd_(
        values,
        gradients,
        _values(optimizer.momentums, index) if momentum else [],
        weight_decay=0.0,
        momentum=momentum,
        lr=-1.0 if momentum else learning_rate,
        dampening=1 + learning_rate if momentum else 0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


_UPDATES = {"Adam": _adam, "AdamW": _adam, "SGD": _sgd}
