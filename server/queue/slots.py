"""Slots: who draws, one job each, and which slot a job is given to.

A slot is an executor, usually a process with a card of its own, and the job that it draws. Loading a model takes much
longer than a step, so that a job goes to a slot that has its model, if there is a free one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job
from layerfusion.server.worker.executor import Executor


class Slot:
    """One executor.

    Attributes:
        executor: draws the job.
        job: the job that it draws; None if it is free.
        lease: number of its last lease, counted over all slots; 0 before its first job.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.job: Job | None = None
        self.lease = 0


class Slots:
    """All slots of a server.

    Args:
        executors: one for each slot, at least one.
    """

    def __init__(self, executors: Sequence[Executor]) -> None:
        if not executors:
            raise ValueError("a server needs at least one executor")
        self._slots = [Slot(executor) for executor in executors]
        self._leases = 0
        self._passed_over = 0
        self._released = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def running(self) -> list[Job]:
        """The jobs that are being drawn, the first to begin at the start."""
        leased = sorted(self._slots, key=lambda slot: slot.lease)
        return [slot.job for slot in leased if slot.job is not None]

    @property
    def problem(self) -> str | None:
        """Why nothing can be drawn, if no executor can start; see `Executor.problem`."""
        problems = [slot.executor.problem for slot in self._slots]
        return problems[0] if None not in problems else None

    def of(self, job: Job) -> Slot | None:
        """The slot that draws a job; None if none does."""
        return next((slot for slot in self._slots if slot.job is job), None)

    async def vacant(self) -> list[Slot]:
        """Wait until a slot is free and its executor can take a job, and return all such slots. None are returned if
        every executor has a problem."""
        while True:
            self._released.clear()
            free = [slot for slot in self._slots if slot.job is None]
            if able := [slot for slot in free if slot.executor.is_ready]:
                return able
            if self.problem is not None:
                return []
            news = [slot.executor.ready() for slot in free] + [self._released.wait()]
            news += [slot.executor.failing() for slot in free if slot.executor.problem is None]
            tasks = [asyncio.ensure_future(wait) for wait in news]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()

    def lease(self, queue: FairQueue[Job], vacant: Sequence[Slot]) -> tuple[Slot, Job] | None:
        """Take the next job from the queue and give it to a slot: to one that has the job's model, or else to the one
        that was used longest ago.

        The next job is passed over if its model is in the memory of a busy slot only and if a vacant slot has the model
        of another client's next job, which is drawn instead: fewer models are loaded. No job is passed over more often
        than there are slots, so that the queue stays fair.

        Args:
            queue: the waiting jobs.
            vacant: slots that `vacant` returned, at least one.

        Returns:
            The slot, which `release` must get back, and its job; None if no job waits.
        """
        turn = queue.turn()
        if not turn:
            return None
        job = turn[0]
        if self._waits_for_its_model(job, vacant) and self._passed_over < len(self._slots):
            job = next((other for other in turn if _having(vacant, other.submit.model)), job)
        self._passed_over = 0 if job is turn[0] else self._passed_over + 1
        queue.take(job)
        slot = _having(vacant, job.submit.model) or min(vacant, key=lambda slot: slot.lease)
        self._leases += 1
        slot.job, slot.lease = job, self._leases
        self._idle.clear()
        return slot, job

    def release(self, slot: Slot) -> None:
        """End the lease of a slot."""
        slot.job = None
        self._released.set()
        if not self.running:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no slot draws."""
        await self._idle.wait()

    def _waits_for_its_model(self, job: Job, vacant: Sequence[Slot]) -> bool:
        """Whether only busy slots have the job's model in memory."""
        model = job.submit.model
        return _having(vacant, model) is None and _having(self._slots, model) is not None


def _having(slots: Sequence[Slot], model: str) -> Slot | None:
    """The first of the slots that has a model in memory."""
    return next((slot for slot in slots if slot.executor.model == model), None)
