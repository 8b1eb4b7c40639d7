"""Keras's Adam, AdamW and SGD through Torch's fused kernels, on Keras's own variables.

Only the update itself is replaced: clipping, decay, averaging, accumulation, constraints,
schedules, saving and resuming stay Keras's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from chiffres.models.backend import keras


def updater(optimizer: Any, variables: Sequence[Any]) -> Callable[[Sequence[torch.Tensor]], None]:
    """Return what applies gradients to ``variables``: Keras's ``apply``, or the update alone.

    The latter where Keras would do nothing besides.
    """
    fused = fuse(optimizer)
    if fused is None or not _updates_only(optimizer, variables):
        return lambda gradients: optimizer.apply(gradients, variables)

    def update(gradients: Sequence[torch.Tensor]) -> None:
        if not optimizer.built:
            optimizer.apply(gradients, variables)
            return
        fused(gradients, variables, _learning_rate(optimizer))
        optimizer.iterations.value.add_(1)

    return update


def _learning_rate(optimizer: Any) -> float:
    """Return the rate of the step to come.

    Keras computes that of a schedule with some twenty operations on tensors of one value.
    """
    schedule = optimizer._learning_rate
    if type(schedule) is not keras.optimizers.schedules.CosineDecay:
        return float(optimizer.learning_rate)
    step, first, begin = int(optimizer.iterations), 0, schedule.initial_learning_rate
    if schedule.warmup_target is not None:
        if step < schedule.warmup_steps:
            rise = step / schedule.warmup_steps
            return float(begin + (schedule.warmup_target - begin) * rise)
        first, begin = schedule.warmup_steps, schedule.warmup_target
    done = min(step - first, schedule.decay_steps) / schedule.decay_steps
    cosine = (1 + math.cos(math.pi * done)) / 2
    return float(begin * (schedule.alpha + (1 - schedule.alpha) * cosine))


def _updates_only(optimizer: Any, variables: Sequence[Any]) -> bool:
    """Whether there is no clipping, decay, averaging, accumulation, scale or constraint."""
    options = ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay", "loss_scale_factor")
    more = ("use_ema", "gradient_accumulation_steps")
    return not any(getattr(optimizer, option) for option in (*options, *more)) and not any(
        variable.constraint or variable.overwrite_with_gradient for variable in variables
    )


def fuse(optimizer: Any) -> Callable[..., None] | None:
    """Let ``optimizer`` update float32 variables with one fused kernel, where there is one."""
    # Keras puts a class of its own backend in the place of the public one.
    if not type(optimizer).__module__.startswith("keras."):
        return None
    update, names = _UPDATES.get(type(optimizer).__name__, (None, ()))
    if update is None or getattr(optimizer, "nesterov", False):
        return None
    found: dict[tuple[int, ...], list[list[torch.Tensor]]] = {}

    def backend_update_step(
        gradients: Sequence[torch.Tensor], variables: Sequence[Any], learning_rate: Any
    ) -> None:
        key = tuple(map(id, variables))
        if key not in found:
            index = [optimizer._get_variable_index(variable) for variable in variables]
            states = [getattr(optimizer, name, None) or [] for name in names]
            found[key] = [
                [variable.value for variable in variables],
                *([state[i].value for i in index] if state else [] for state in states),
            ]
        values, *kept = found[key]
        in_order = [gradient.contiguous() for gradient in gradients]  # what the kernels assume
        with torch.no_grad():
            update(optimizer, values, in_order, kept, float(learning_rate))

    optimizer._backend_update_step = backend_update_step
    return backend_update_step


def _adam(
    optimizer: Any,
    values: list[torch.Tensor],
    gradients: list[torch.Tensor],
    kept: list[list[torch.Tensor]],
    learning_rate: float,
) -> None:
    """Keras adds epsilon to the root of the velocity, Torch to that of the corrected velocity."""
    step = int(optimizer.iterations) + 1
    momentums, velocities, velocity_hats = kept
    torch._fused_adam_(
        values,
        gradients,
        momentums,
        velocities,
        velocity_hats,
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
    kept: list[list[torch.Tensor]],
    learning_rate: float,
) -> None:
    """Keras's momentum holds the step itself, m ← μ m - η g, where Torch's holds gradients.

    So Torch is told to add (1 - dampening) g = -η g, and to take the step with a rate of -1.
    """
    momentum = optimizer.momentum
    torch._fused_sgd_(
        values,
        gradients,
        kept[0],
        weight_decay=0.0,
        momentum=momentum,
        lr=-1.0 if momentum else learning_rate,
        dampening=1 + learning_rate if momentum else 0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )


_ADAM = _adam, ("_momentums", "_velocities", "_velocity_hats")
_UPDATES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "SGD": (_sgd, ("momentums",)),
}
"""The update of each optimizer, and where it keeps what it needs besides the gradients."""
