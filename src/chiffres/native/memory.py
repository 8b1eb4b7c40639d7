"""Memory that a step has freed is kept for the next one."""

from __future__ import annotations

import ctypes
import functools

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST_KEPT = 32 * 2**20  # bytes; glibc takes no more
_KEPT = 2**30


@functools.cache
def keep_freed_memory() -> None:
    """Let glibc give no block under 32 MiB back to the system, until 1 GiB of them is free.

    It does give back the activations and gradients of every step, and the system fills each page
    with zeros again in the next: a fifth of an epoch on ``conv``. Other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _KEPT)
