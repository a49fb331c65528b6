"""The positions of waiting jobs and the estimated times until their start, and messages about them."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Iterator
from math import inf

from layerfusion.server.protocol.messages import Queued
from layerfusion.server.queue.estimates import Estimates
from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job
from layerfusion.server.queue.slots import Slots

_AT_ONCE = 100
"""So many waiting jobs are told their positions before the event loop gets its turn."""


class QueueStatus:
    """Computes positions and waiting times, and sends them to the listeners of waiting jobs.

    Args:
        queue: the waiting jobs.
        estimates: estimates of durations.
        slots: who draws.
        seconds: least time between two rounds of messages, because each start changes all positions. It is longer in
            proportion where more than a hundred jobs wait.
    """

    def __init__(self, queue: FairQueue[Job], estimates: Estimates, slots: Slots, seconds: float) -> None:
        self._queue = queue
        self._estimates = estimates
        self._slots = slots
        self._seconds = seconds
        self._told = float("-inf")
        self._due: asyncio.TimerHandle | None = None
        self._untold: deque[tuple[Job, int, float | None]] = deque()

    def of(self, job: Job) -> tuple[int, float | None]:
        """The number of jobs before this one (0 if it is next, running or over), and the seconds until its start (None
        if unknown). Where every slot is busy, their jobs count as one: the one that ends first."""
        for waiting, position, starts_in in self._all():
            if waiting is job:
                return position, starts_in
        return 0, None

    def tell(self) -> None:
        """Send all waiting jobs their positions: now, or later if the last messages are less than `seconds` ago."""
        if self._due is None:
            loop = asyncio.get_running_loop()
            wait = self._told + self._seconds * max(1.0, len(self._queue) / _AT_ONCE) - loop.time()
            if wait <= 0:
                self._tell_now()
            else:
                self._due = loop.call_later(wait, self._tell_now)

    def _tell_now(self) -> None:
        self._told, self._due = asyncio.get_running_loop().time(), None
        is_telling = bool(self._untold)
        self._untold = deque(self._all())
        if not is_telling:
            self._tell_some()

    def _tell_some(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._untold))):
            job, position, starts_in = self._untold.popleft()
            if job.listeners and not job.started and not job.over:
                job.tell(Queued(job=job.id, position=position, starts_in=starts_in))
        if self._untold:
            asyncio.get_running_loop().call_soon(self._tell_some)

    def _all(self) -> Iterator[tuple[Job, int, float | None]]:
        """Each waiting job in order, with its position and the seconds until its start.

        A job starts as soon as the first of the slots has drawn what comes before. A slot whose end is unknown is taken
        for one that never ends, so that the start is unknown where only such slots are left.
        """
        running = self._slots.running
        ends = [self._remaining(job) for job in running] + [0.0] * (len(self._slots) - len(running))
        heapq.heapify(ends)
        for position, job in enumerate(self._queue, start=int(len(running) == len(self._slots))):
            starts_in = ends[0]
            yield job, position, None if starts_in == inf else starts_in
            takes = self._estimates.seconds(job.submit)
            heapq.heapreplace(ends, inf if takes is None else starts_in + takes)

    def _remaining(self, job: Job) -> float:
        """Seconds until a running job ends; infinity if unknown."""
        now = time.monotonic()
        if job.remaining is not None:
            seconds, when = job.remaining
            return max(0.0, seconds - (now - when))
        takes = self._estimates.seconds(job.submit)
        return inf if takes is None else max(0.0, takes - (now - job.started))
