"""The starts of a worker: whether it can take a job, when the next start is, and what failures mean for people."""

from __future__ import annotations

import asyncio

TRIES = 3
"""After so many failed starts, one after the other, there is a problem. The worker is started further. Our choice."""


_LONGEST_PAUSE = 30.0


class Starts:
    """The starts of one worker."""

    def __init__(self) -> None:
        self._failures = 0
        self._ending = ""
        self._pause = 0.0
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

    def ended(self, ending: str, *, worked: bool) -> float:
        """Note that a worker has ended, and return the seconds until another should be started.

        One that failed to start will probably fail again, so they become more each time; one that was ended by a job
        is replaced at once.

        Args:
            ending: how it ended.
            worked: whether it could take a job before.
        """
        if worked:
            self._pause = 0.0
            return self._pause
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause + 0.5)
        self._failures += 1
        self._ending = ending[:500]
        if self._failures >= TRIES:
            self._tried.set()
        return self._pause


class Restarted:
    """The part of an executor that is about its worker's starts; see `Executor`."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()
        self._starts = Starts()

    @property
    def is_ready(self) -> bool:
        """See `Executor.is_ready`."""
        return self._ready.is_set()

    async def ready(self) -> None:
        """See `Executor.ready`."""
        await self._ready.wait()

    @property
    def problem(self) -> str | None:
        """See `Executor.problem`."""
        return self._starts.problem

    async def failing(self) -> None:
        """See `Executor.failing`."""
        await self._starts.failing()
