"""Admission: whether another job may wait, and which waiting jobs it replaces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from layerfusion.server.protocol.errors import CannotDraw, QueueFull, ServerStopping, StoreFull
from layerfusion.server.protocol.messages import Submit
from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job
from layerfusion.server.queue.slots import Slots


class Admission:
    """Decides which jobs are accepted.

    Args:
        queue: the waiting jobs.
        slots: who draws.
        waiting_jobs: largest number of waiting jobs of one client.
        all_waiting_jobs: largest number of waiting jobs of all clients together.
        make_room: deletes old jobs if necessary, and returns whether there is room for another job.

    Attributes:
        closed: whether the server is being stopped.
    """

    def __init__(
        self,
        queue: FairQueue[Job],
        slots: Slots,
        waiting_jobs: int,
        all_waiting_jobs: int,
        make_room: Callable[[], Awaitable[bool]] | None,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._waiting_jobs = waiting_jobs
        self._all_waiting_jobs = all_waiting_jobs
        self._make_room = make_room
        self.closed = False

    def replaced(self, client: str, submit: Submit) -> list[Job]:
        """The client's waiting jobs that this submission replaces."""
        if submit.replaces is None:
            return []
        return [job for job in self._queue.of(client) if job.submit.replaces == submit.replaces]

    async def check(self, client: str, more: int, limit: int | None) -> None:
        """Whether `more` jobs of a client may wait.

        Args:
            client: the client.
            more: number of additional jobs.
            limit: this client's own limit in place of the server's.

        Raises:
            ServerStopping, CannotDraw, QueueFull, StoreFull: they may not.
        """
        waiting = len(self._queue.of(client))
        limit = self._waiting_jobs if limit is None else limit
        if self.closed:
            raise ServerStopping("The server is being stopped.", "Start it and submit again.")
        if self._slots.problem is not None:
            raise cannot_draw(self._slots.problem)
        if waiting + more > limit:
            raise QueueFull(
                f"{waiting} of your jobs are waiting; the limit is {limit}.",
                "Wait for one to finish, or cancel one.",
            )
        if len(self._queue) + more > self._all_waiting_jobs:
            raise QueueFull(f"{len(self._queue)} jobs of all clients are waiting.", "Try again later.")
        if self._make_room is not None and not await self._make_room():
            raise StoreFull(
                "The server's store is full of layers that nobody has fetched yet.",
                "Fetch or delete jobs (“layerfusion jobs”), or give the server more disk space.",
            )


def cannot_draw(problem: str) -> CannotDraw:
    """The error of a job that no executor can draw."""
    return CannotDraw(problem, "See “layerfusion doctor” and the server's log; the server goes on trying.")
