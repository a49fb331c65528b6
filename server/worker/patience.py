"""Waiting with a limit that counts only time in which this process itself could run.

A machine that sleeps, or a server that was stopped with Ctrl-Z, finds all its limits passed when it wakes up. The
worker slept, too, so that this proves nothing. After such a gap the wait begins anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_SLICE = 1.0
"""Seconds between two looks at the clock."""

_GAP = 5.0
"""If so many seconds pass between two looks, the process stood still. A busy event loop is never late by so much."""


async def patient(awaited: Awaitable[T], seconds: float, clock: Callable[[], float] = time.monotonic) -> T:
    """Wait for a result for so many seconds in which this process runs.

    Args:
        awaited: it is cancelled if it takes too long, or if the waiting is cancelled.
        seconds: longest wait.
        clock: a clock, in seconds.

    Raises:
        TimeoutError: it took longer.
    """
    task = asyncio.ensure_future(awaited)
    waited = 0.0
    try:
        while not task.done():
            if waited >= seconds:
                raise TimeoutError
            before = clock()
            await asyncio.wait([task], timeout=min(_SLICE, seconds - waited))
            passed = clock() - before
            waited = 0.0 if passed > _GAP else waited + passed
        return task.result()
    finally:
        task.cancel()
