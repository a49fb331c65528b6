"""Which job is drawn next, and what each has said so far.

Clients take turns: of everybody's oldest waiting job the one of the client that has waited longest for its turn. A job
belongs to no connection; whoever follows it gets its events. Everything is in memory and ends with the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from server.protocol.errors import InternalError, JobExists, QueueFull, ServerStopping, UnknownJob
from server.protocol.messages import (
    Cancelled,
    Event,
    Kept,
    LayerBegin,
    Message,
    Queued,
    Started,
    Submit,
)
from server.translate import failure
from server.worker import LAST, Executor

logger = logging.getLogger(__name__)

Listener = Callable[[Message], None]


@dataclass(eq=False)
class Job:
    """One submitted job.

    Attributes:
        submit: as it came.
        client: whose turn it takes.
        events: numbered from 1; the last is `Done`, `Failed` or `Cancelled` once the job has ended.
        listeners: who follows it.
        ended: when it did, by the scheduler's clock; None before.
    """

    submit: Submit
    client: str
    events: list[Event] = field(default_factory=list)
    listeners: set[Listener] = field(default_factory=set)
    ended: float | None = None

    @property
    def id(self) -> str:
        return self.submit.job

    def tell(self, message: Message) -> None:
        for listener in self.listeners:
            listener(message)


class Scheduler:
    """Takes jobs, runs them one at a time, tells those who follow them.

    Args:
        executor: who draws.
        waiting_jobs: of one client.
        finished_jobs: how many are remembered.
        finished_seconds: for how long.
    """

    def __init__(
        self, executor: Executor, *, waiting_jobs: int = 32, finished_jobs: int = 256, finished_seconds: float = 3600
    ) -> None:
        self._executor = executor
        self._waiting_jobs = waiting_jobs
        self._finished_jobs = finished_jobs
        self._finished_seconds = finished_seconds
        self._jobs: dict[str, Job] = {}
        self._waiting: dict[str, deque[Job]] = {}  # by client; the first client's turn is next
        self._running: Job | None = None
        self._arrived = asyncio.Event()

    # ---- what clients ask for

    def submit(self, client: str, submit: Submit) -> Job:
        """Queue a job, or find it if the very same was submitted before.

        Raises:
            JobExists: another job has the id.
            QueueFull: too many jobs of this client wait.
        """
        if known := self.known(submit):
            return known
        queue = self._waiting.get(client, deque())
        if len(queue) >= self._waiting_jobs:
            raise QueueFull(f"{len(queue)} of your jobs are waiting.", "Wait for one to finish, or cancel one.")
        self._forget_old()
        job = Job(submit, client)
        queue.append(job)
        self._waiting[client] = queue
        self._jobs[job.id] = job
        self._arrived.set()
        return job

    def known(self, submit: Submit) -> Job | None:
        """The job that this message was before, if it was.

        Raises:
            JobExists: another job has the id.
        """
        job = self._jobs.get(submit.job)
        if job is not None and job.submit != submit:
            raise JobExists(f"The id {submit.job} belongs to another job.", "Make a fresh id for each job.")
        return job

    def find(self, job_id: str) -> Job:
        """The job of that id.

        Raises:
            UnknownJob: none that is remembered.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise UnknownJob(
                f"There is no job {job_id}.", "The server has been restarted or has forgotten it: submit it again."
            ) from None

    def follow(self, job: Job, listener: Listener, *, after: int = 0) -> None:
        """Tell `listener` the job's events from `after` + 1 on: those that happened now, the others once each."""
        for event in job.events[after:]:
            listener(event)
        job.listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Tell `listener` nothing more. Its jobs go on."""
        for job in self._jobs.values():
            job.listeners.discard(listener)

    def position(self, job: Job) -> int:
        """How many jobs run before this one: 0 if it is next, running or over."""
        order = self._order()
        return order.index(job) + (self._running is not None) if job in order else 0

    def cancel(self, job: Job) -> None:
        """Stop a job: at once if it waits, after its step if it runs, not at all if it is over."""
        if job is self._running:
            self._executor.cancel(job.id)
        elif job.ended is None:
            self._unqueue(job)
            self._publish(job, Cancelled(job=job.id, seq=1))
            self._tell_positions()

    def digests(self) -> set[str]:
        """SHA-256 of every layer that a remembered job needs."""
        needed = set()
        for job in self._jobs.values():
            needed |= {event.sha256 for event in job.events if isinstance(event, LayerBegin)}
            sources = (job.submit.background, *job.submit.foregrounds)
            needed |= {source.layer for source in sources if isinstance(source, Kept)}
        return needed

    # ---- running

    async def run(self) -> None:
        """Draw one job after the other, until cancelled. What is left then fails with `server_stopping`."""
        try:
            while True:
                await self._arrived.wait()
                await self._executor.ready()
                if order := self._order():
                    await self._draw(order[0])
                else:
                    self._arrived.clear()
        finally:
            for job in [job for job in self._jobs.values() if job.ended is None]:
                self._publish(
                    job, failure(job.id, ServerStopping("The server is being stopped.", "Start it and try again."))
                )

    async def _draw(self, job: Job) -> None:
        self._unqueue(job)
        if job.client in self._waiting:
            self._waiting[job.client] = self._waiting.pop(job.client)  # to the end: it has had its turn
        self._running = job
        self._publish(job, Started(job=job.id, seq=1))
        self._tell_positions()
        try:
            async for message in self._executor.run(job.submit):
                self._publish(job, message)
        except Exception:
            logger.exception("job %s was lost", job.id)
        finally:
            self._running = None
        if job.ended is None:
            self._publish(job, failure(job.id, InternalError("The job was lost.", "The server's log has the details.")))

    def _publish(self, job: Job, message: Message) -> None:
        """Number `message` if it is an event, remember it, and tell the listeners."""
        if isinstance(message, Event):
            message = replace(message, seq=len(job.events) + 1)
            job.events.append(message)
            if isinstance(message, LAST):
                job.ended = time.monotonic()
        job.tell(message)

    def _tell_positions(self) -> None:
        for position, job in enumerate(self._order(), start=int(self._running is not None)):
            job.tell(Queued(job=job.id, position=position))

    def _order(self) -> list[Job]:
        """The waiting jobs, next first: one of each client, then the second of each, …"""
        return [job for turn in zip_longest(*self._waiting.values()) for job in turn if job is not None]

    def _unqueue(self, job: Job) -> None:
        queue = self._waiting[job.client]
        queue.remove(job)
        if not queue:
            del self._waiting[job.client]

    def _forget_old(self) -> None:
        """Forget jobs that ended long ago, and the oldest of too many."""
        ended = sorted((job.ended, job.id) for job in self._jobs.values() if job.ended is not None)
        too_many = max(0, len(ended) - self._finished_jobs)
        now = time.monotonic()
        for place, (when, job_id) in enumerate(ended):
            if place < too_many or now - when > self._finished_seconds:
                del self._jobs[job_id]
