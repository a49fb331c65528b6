"""The positions of waiting jobs and the estimated times until their start, and messages about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from layerfusion.server.protocol.messages import Queued
from layerfusion.server.queue.estimates import Estimates
from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job


class QueueStatus:
    """Computes positions and waiting times, and sends them to the listeners of waiting jobs.

    Args:
        queue: the waiting jobs.
        estimates: estimates of durations.
        running: returns the job that is being drawn, or None.
        seconds: least time between two rounds of messages, because each start changes all positions.
    """

    def __init__(
        self, queue: FairQueue[Job], estimates: Estimates, running: Callable[[], Job | None], seconds: float
    ) -> None:
        self._queue = queue
        self._estimates = estimates
        self._running = running
        self._seconds = seconds
        self._told = float("-inf")
        self._due: asyncio.TimerHandle | None = None

    def of(self, job: Job) -> tuple[int, float | None]:
        """The number of jobs before this one (0 if it is next, running or over), and the seconds until its start (None
        if unknown)."""
        for waiting, position, starts_in in self._all():
            if waiting is job:
                return position, starts_in
        return 0, None

    def tell(self) -> None:
        """Send all waiting jobs their positions: now, or later if the last messages are less than `seconds` ago."""
        if self._due is None:
            loop = asyncio.get_running_loop()
            wait = self._told + self._seconds - loop.time()
            if wait <= 0:
                self._tell_now()
            else:
                self._due = loop.call_later(wait, self._tell_now)

    def _tell_now(self) -> None:
        self._told, self._due = asyncio.get_running_loop().time(), None
        for job, position, starts_in in self._all():
            if job.listeners:
                job.tell(Queued(job=job.id, position=position, starts_in=starts_in))

    def _all(self) -> Iterator[tuple[Job, int, float | None]]:
        """Each waiting job in order, with its position and the seconds until its start."""
        starts_in = self._remaining()
        for position, job in enumerate(self._queue, start=int(self._running() is not None)):
            yield job, position, starts_in
            takes = self._estimates.seconds(job.submit)
            starts_in = None if starts_in is None or takes is None else starts_in + takes

    def _remaining(self) -> float | None:
        """Seconds until the running job ends; 0 if there is none, None if unknown."""
        job = self._running()
        if job is None:
            return 0.0
        now = time.monotonic()
        if job.remaining is not None:
            seconds, when = job.remaining
            return max(0.0, seconds - (now - when))
        takes = self._estimates.seconds(job.submit)
        return None if takes is None else max(0.0, takes - (now - job.started))
