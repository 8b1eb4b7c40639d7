"""Batch normalization by what a whole batch measures, of which each worker has some rows.

Source: what all workers measure is summed on the way forward, and so are its gradients on the way
back, as Torch's ``SyncBatchNorm`` does on graphics processors.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as in Torch's own documentation

from chiffres.native.team import Team


def normalize_together(
    x: torch.Tensor,
    scale: torch.Tensor | None,
    offset: torch.Tensor | None,
    epsilon: float,
    team: Team,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return normalized values, and the mean and variance of each channel in the whole batch.

    Args:
        x: ``(n, channels, …)``, this worker's rows, float32 or bfloat16.
        scale: ``(channels,)`` float32; None: 1.
        offset: ``(channels,)`` float32; None: 0.
        epsilon: what is added to the variance.
        team: the workers; ``x`` is of a batch that they divide.

    Raises:
        WorkerLost: there is no answer from another worker.
    """
    mean, variance = _measure(x.detach(), team)
    y: torch.Tensor = _Normalize.apply(x, scale, offset, mean, variance, epsilon, team)  # type: ignore[no-untyped-call]
    return y, mean, variance


def _measure(x: torch.Tensor, team: Team) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance of each channel in the whole batch.

    A sum of squares would lose the variance of channels far from 0; so each worker measures it
    about its own mean, and its distance from the mean of all is added.
    """
    numbers = torch.promote_types(x.dtype, torch.float32)  # those of the two that it updates
    unused = torch.zeros((2, x.shape[1]), dtype=numbers)
    own = torch.ops.aten.batch_norm_update_stats(x, *unused, 0.0)
    found = torch.zeros((team.size, 2, x.shape[1]), dtype=numbers)
    found[team.rank] = torch.stack(own)
    means, variances = team.sum(found).unbind(1)
    weights = torch.tensor(team.shares, dtype=means.dtype).unsqueeze(1)
    mean = (weights * means).sum(0)
    return mean, (weights * (variances + (means - mean) ** 2)).sum(0)


class _Normalize(torch.autograd.Function):
    """Its gradients: each value moves the mean and the variance of all workers' values."""

    @staticmethod
    def forward(
        ctx: Any, x: Any, scale: Any, offset: Any, mean: Any, variance: Any, epsilon: Any, team: Any
    ) -> Any:
        ctx.save_for_backward(x, scale, mean, variance)
        ctx.epsilon, ctx.team, ctx.has_offset = epsilon, team, offset is not None
        return F.batch_norm(x, mean, variance, scale, offset, False, 0.0, epsilon)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        x, scale, mean, variance = ctx.saved_tensors
        known = mean, variance, None, None, False, ctx.epsilon, [False, True, True]
        _, *own = torch.ops.aten.native_batch_norm_backward(gradient, x, scale, *known)
        n = ctx.team.whole * math.prod(x.shape[2:])
        by_spread, shifted = ctx.team.sum(torch.stack(own)) / n
        inverse = torch.rsqrt(variance + ctx.epsilon)
        factor = inverse if scale is None else inverse * scale
        slope = -factor * inverse * by_spread
        level = -factor * shifted - slope * mean
        shape = -1, *[1] * (x.ndim - 2)
        factor, slope, level = (each.view(shape) for each in (factor, slope, level))
        of_x = torch.addcmul(level, x, slope).addcmul_(gradient, factor).to(x.dtype)
        of_scale, of_offset = own
        return (
            of_x,
            None if scale is None else of_scale,
            of_offset if ctx.has_offset else None,
            *[None] * 4,
        )
