"""What processes that work for another one share."""

from __future__ import annotations

import functools
import os
import threading
import time

ORPHANED = 3
"""The exit code of a process whose parent is gone."""


@functools.cache
def end_with(parent: int) -> None:
    """End this process once the process ``parent`` is gone, so that nothing works on unasked.

    On Windows a process keeps its parent's number, and goes on.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(ORPHANED)
