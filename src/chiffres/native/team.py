"""Workers that train one model together, each on its rows of every batch.

Each is a process with the same model, given the same batches. It takes its rows, and what it finds
in them is summed over the workers, so that all of them make the step that one would make alone on
the whole batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed

PATIENCE = timedelta(minutes=10)
"""After so long without an answer a worker is taken for lost."""


class WorkerLost(Exception):  # noqa: N818 - no error of the training: it goes on with a new team
    """Another worker is gone, or out of reach."""


class Team:
    """The workers; by default a single one.

    More than one are the processes of Torch's default group; see ``joined``.

    Args:
        rank: which of them this one is, from 0.
        size: how many they are.

    Attributes:
        whole: rows of the batch under way, of all workers; 0 before the first.
        first: which of them is this worker's first.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.whole = self.first = 0

    def rows(self, n: int) -> slice:
        """Return which rows of a batch of ``n`` are this worker's.

        A batch with fewer rows than workers is not divided: each worker has all of it, and does
        alone what the others do too.
        """
        if n < self.size:
            return slice(0, n)
        return slice(*_bounds(n, self.size)[self.rank : self.rank + 2])

    def take(self, n: int) -> slice:
        """Begin with a batch of ``n`` rows; return which are this worker's."""
        rows = self.rows(n)
        self.whole, self.first = n, rows.start
        return rows

    @property
    def divides(self) -> bool:
        """Whether the batch under way is divided among workers."""
        return 1 < self.size <= self.whole

    @property
    def shares(self) -> list[float]:
        """Each worker's share of the rows of the batch under way, which is divided."""
        bounds = _bounds(self.whole, self.size)
        return [(end - begin) / self.whole for begin, end in itertools.pairwise(bounds)]

    @property
    def share(self) -> float:
        """This worker's share of the rows of the batch under way."""
        return self.shares[self.rank] if self.divides else 1.0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``values``, summed over the workers of a batch that is divided; in place.

        The sum is the same to the bit for all of them.

        Args:
            values: any shape, the same for all, contiguous.

        Raises:
            WorkerLost: there is no answer from another one.
        """
        if self.divides:
            with _listening():
                torch.distributed.all_reduce(values)
        return values

    def agree(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give all workers the first one's values, in place; raise as ``sum``."""
        if self.size > 1:
            with torch.no_grad(), _listening():
                for each in tensors:
                    torch.distributed.broadcast(each.detach(), 0)

    def sum_all(self, tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        """Return the sums of several tensors of one dtype, in one message."""
        if not self.divides:
            return tensors
        flat = self.sum(torch.cat([each.reshape(-1) for each in tensors]))
        parts = torch.split(flat, [each.numel() for each in tensors])
        return [part.view(each.shape) for part, each in zip(parts, tensors, strict=True)]


@contextmanager
def joined(rank: int, size: int, store: Any) -> Iterator[Team]:
    """Be a worker within the block, once all others are there too.

    Args:
        rank: which one, from 0.
        size: how many they are.
        store: Torch's, where they find each other.

    Raises:
        WorkerLost: another one does not come.
    """
    with _listening():
        torch.distributed.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE
        )
    try:
        yield Team(rank, size)
    finally:
        torch.distributed.destroy_process_group()  # so that the others need not wait for this one


@contextmanager
def _listening() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise WorkerLost("no answer from another worker") from error


def _bounds(n: int, size: int) -> list[int]:
    return [n * rank // size for rank in range(size + 1)]
