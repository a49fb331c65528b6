"""Counts failed starts of a worker: after some, there is a problem that people must know."""

from __future__ import annotations

import asyncio

TRIES = 3
"""After so many failed starts, one after the other, there is a problem. The worker is started further. Our choice."""


class Starts:
    """The starts of one worker."""

    def __init__(self) -> None:
        self._failures = 0
        self._ending = ""
        self._tried = asyncio.Event()

    @property
    def problem(self) -> str | None:
        """See `Executor.problem`."""
        if not self._tried.is_set():
            return None
        return f"The process that draws could not start {self._failures} times ({self._ending})."

    async def failing(self) -> None:
        """See `Executor.failing`."""
        await self._tried.wait()

    def worked(self) -> None:
        """Note that a worker can take a job."""
        self._failures = 0
        self._tried.clear()

    def failed(self, ending: str) -> None:
        """Note that a worker ended before it could take a job; `ending` says how."""
        self._failures += 1
        self._ending = ending[:500]
        if self._failures >= TRIES:
            self._tried.set()
