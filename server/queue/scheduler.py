"""The scheduler: it queues jobs, gives each to a slot that draws it, stores their events and passes them to listeners.

A job belongs to no connection; any listener that follows it gets its events. A job is on disk before its submission is
acknowledged, and an event is on disk before any listener gets it. Jobs that are over exist on disk only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

from layerfusion.engine.errors import EngineError
from layerfusion.server.protocol.errors import (
    InternalError,
    JobExists,
    ProtocolError,
    UnknownJob,
    WorkerDied,
)
from layerfusion.server.protocol.messages import (
    Cancelled,
    Done,
    Event,
    Failed,
    LayerBegin,
    Message,
    Progress,
    Resubmit,
    Started,
    Submit,
    is_last,
)
from layerfusion.server.queue.admission import Admission, cannot_draw
from layerfusion.server.queue.estimates import Estimates
from layerfusion.server.queue.fair_queue import FairQueue
from layerfusion.server.queue.job import Job, Listener, load
from layerfusion.server.queue.quarantine import Quarantine
from layerfusion.server.queue.queue_status import QueueStatus
from layerfusion.server.queue.slots import Slot, Slots
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.records import interruption
from layerfusion.server.worker.executor import Executor

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Scheduler:
    """Queues jobs, gives each to a slot that draws it, and passes their messages to listeners.

    Args:
        executors: each draws one job at a time; at least one.
        database: where jobs and events are kept.
        waiting_jobs: largest number of waiting jobs of one client.
        all_waiting_jobs: largest number of waiting jobs of all clients together.
        make_room: deletes old jobs if necessary, and returns whether there is room for another job.
        wrote: is called with the bytes of each layer that was drawn.
        status_seconds: waiting jobs are told their positions at most so often, because each start moves all of them.

    Attributes:
        written_bytes: bytes of all layers drawn so far.
        ended: number of jobs that have ended so far, by the type of their last event.
        drawing_seconds: time from start to end of the jobs that were drawn so far, whether they were finished or not.
    """

    def __init__(
        self,
        executors: Sequence[Executor],
        database: Database,
        *,
        waiting_jobs: int = 32,
        all_waiting_jobs: int = 1024,
        make_room: Callable[[], Awaitable[bool]] | None = None,
        wrote: Callable[[int], None] = lambda _size: None,
        status_seconds: float = 0.25,
    ) -> None:
        self._slots = Slots(executors)
        self._database = database
        self._wrote = wrote
        self._disk = ThreadPoolExecutor(1, "layerfusion-database")  # one: in order, and never two at the database
        self._quarantine = Quarantine(database)
        self._estimates = Estimates()
        self._jobs: dict[str, Job] = {}  # those that are not over
        self._queue: FairQueue[Job] = FairQueue()
        self._status = QueueStatus(self._queue, self._estimates, self._slots, status_seconds)
        self._admission = Admission(self._queue, self._slots, waiting_jobs, all_waiting_jobs, make_room)
        self._submitting = asyncio.Lock()
        self._arrived = asyncio.Event()
        self.written_bytes = 0
        self.ended: Counter[str] = Counter({"done": 0, "failed": 0, "cancelled": 0})
        self.drawing_seconds = 0.0

    @property
    def waiting(self) -> int:
        """Number of jobs that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Number of jobs that are being drawn."""
        return len(self._slots.running)

    async def on_disk(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Ask the database something, in the thread that may wait for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(call, *args, **kwargs))

    async def recover(self) -> None:
        """Continue after the last run of the server: queue its waiting jobs again and end its interrupted job."""
        await self.on_disk(self._database.delete_passing)
        for job_id in await self.on_disk(self._database.interrupt):
            logger.warning("job %s was interrupted by the end of the last server", job_id)
        for record in reversed(await self.on_disk(self._database.jobs, states=("finished",), newest=100)):
            if record.started is not None and record.ended is not None:
                self._estimates.add(record.submit, record.ended - record.started)
        for record in await self.on_disk(self._database.jobs, states=("queued",)):
            self._enqueue(Job(record.submit, record.client))

    # ---- what clients ask for

    async def submit(self, client: str, submit: Submit, *, waiting_jobs: int | None = None) -> list[Job]:
        """Queue a job and its variants, or return them if the same message was received before.

        Args:
            client: the client.
            submit: its message.
            waiting_jobs: this client's own limit in place of the server's.

        Raises:
            JobExists: another job has the id.
            QueueFull: too many jobs wait.
            StoreFull: the store is full of layers that nobody has fetched.
            Quarantined: the worker died too often over this request.
            ServerStopping: the server is stopping.
            UnwritableFile: the disk is full or read-only. Nothing was queued.
        """
        # A client that disconnects cancels this; what is on its way to the disk must get into the queue, too.
        return await asyncio.shield(self._submit(client, submit, waiting_jobs))

    async def _submit(self, client: str, submit: Submit, waiting_jobs: int | None) -> list[Job]:
        async with self._submitting:
            submits = submit.jobs()
            known = [await self._known(each) for each in submits]
            found = [job for job in known if job is not None]
            if len(found) == len(submits):
                return found
            if found:
                raise _exists(found[0].id)
            replaced = self._admission.replaced(client, submit)
            await self._admission.check(client, len(submits) - len(replaced), waiting_jobs)
            await self.on_disk(self._quarantine.check, submit)
            await self.on_disk(self._database.add, submits, client)
            jobs = [Job(each, client) for each in submits]
            for job in jobs:
                self._enqueue(job)
            for job in replaced:
                await self.cancel(job, replaced_by=submit.job)
            return jobs

    async def resubmit(self, client: str, message: Resubmit, *, waiting_jobs: int | None = None) -> list[Job]:
        """Queue the request of another job again.

        Raises:
            UnknownJob: the other job does not exist.
            JobExists, QueueFull, …: as in `submit`.
        """
        of = await self.find(message.of)
        masks = of.submit.masks or message.masks
        again = replace(of.submit, job=message.job, variants=(), masks=masks, passing=False)
        return await self.submit(client, again, waiting_jobs=waiting_jobs)

    async def known(self, submit: Submit) -> list[Job] | None:
        """The jobs of this message if it was received before, else None.

        Raises:
            JobExists: another job has the id.
        """
        known = [await self._known(each) for each in submit.jobs()]
        found = [job for job in known if job is not None]
        return found if len(found) == len(known) else None

    async def find(self, job_id: str) -> Job:
        """The job with the given id, whether it is over or not.

        Raises:
            UnknownJob: there is no such job, or it was deleted.
        """
        if (job := self._jobs.get(job_id)) is None:
            job = await self.on_disk(load, self._database, job_id)
            job = self._jobs.get(job_id, job)  # it may have been queued meanwhile
        if job is None:
            raise UnknownJob(
                f"There is no job {job_id}.", "The server never had it or has deleted it: submit it again."
            )
        return job

    def follow(self, job: Job, listener: Listener, *, after: int = 0) -> None:
        """Pass the job's events from `after` + 1 on to `listener`: past ones at once, coming ones when they happen."""
        for event in job.events[after:]:
            listener(event)
        if not job.over:
            job.listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Stop passing events to `listener`. The jobs continue."""
        for job in self._jobs.values():
            job.listeners.discard(listener)

    def position(self, job: Job) -> tuple[int, float | None]:
        """The number of jobs before this one and the seconds until its start; see `QueueStatus.of`."""
        return self._status.of(job)

    async def cancel(self, job: Job, *, replaced_by: str | None = None) -> None:
        """Cancel a job: at once if it waits, after the current step if it runs. A job that is over does not change."""
        if self._queue.remove(job):
            await self._publish(job, Cancelled(job=job.id, seq=1, replaced_by=replaced_by))
            self._status.tell()
        elif (slot := self._slots.of(job)) and not job.cancelled:
            job.cancelled = True
            slot.executor.cancel(job.id)

    async def forget(self, job_id: str) -> None:
        """Cancel a passing job, if there is one, and delete it as soon as it is over.

        A connection also forgets what was refused, whose id another job may have got: no picture is deleted by that.
        """
        async with self._submitting:  # it may be on its way
            job = self._jobs.get(job_id)
        if job is None:
            record = await self.on_disk(self._database.find, job_id)
            if record is not None and record.submit.passing:
                await self.on_disk(self._database.delete, [job_id])
        elif job.submit.passing:
            job.forgotten = True
            await self.cancel(job)

    def move(self, client: str, job_id: str, before: str | None) -> None:
        """Change the order of a client's waiting jobs; nothing happens if one of the two is not one of them."""
        waiting = {job.id: job for job in self._queue.of(client)}
        job, next_ = waiting.get(job_id), waiting.get(before) if before is not None else None
        if job is None or (before is not None and next_ is None):
            return
        if self._queue.move(job, next_):
            self._status.tell()

    async def acknowledge(self, job_id: str, seq: int) -> None:
        """Record that a client has the job's events up to `seq`."""
        await self.on_disk(self._database.acknowledge, job_id, seq)

    # ---- running

    async def run(self) -> None:
        """Draw jobs until this task is cancelled. Running jobs are then interrupted; waiting jobs stay queued."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._arrived.wait()
                    vacant = await self._slots.vacant()
                    if not vacant:
                        await self._fail_waiting()
                    leased = None if self._admission.closed or not vacant else self._slots.lease(self._queue, vacant)
                    if leased is None:
                        self._arrived.clear()
                    else:
                        tasks.create_task(self._draw_on(*leased))
        finally:
            for job in self._slots.running:
                await self._interrupt(job)

    def close(self) -> None:
        """Wait for pending writes. No method may be called afterwards."""
        self._disk.shutdown()

    async def drain(self, seconds: float) -> None:
        """Accept and start no more jobs, and wait at most `seconds` for the running jobs to end."""
        self._admission.closed = True
        try:
            async with asyncio.timeout(seconds):
                await self._slots.idle()
        except TimeoutError:
            logger.warning("%d jobs that are being drawn are interrupted", len(self._slots.running))

    async def _fail_waiting(self) -> None:
        """End the waiting jobs, because no executor can start."""
        for job in list(self._queue):
            if self._slots.problem is not None and self._queue.remove(job):
                await self._publish(job, Failed.of(cannot_draw(self._slots.problem), job=job.id, seq=1))

    async def _draw_on(self, slot: Slot, job: Job) -> None:
        await self._draw(job, slot.executor)
        self._slots.release(slot)  # not if this task is cancelled: the job is then interrupted

    async def _draw(self, job: Job, executor: Executor) -> None:
        job.started = time.monotonic()
        try:
            if not await self._publish(job, Started(job=job.id, seq=1)):
                return
            self._status.tell()
            if job.cancelled:
                await self._publish(job, Cancelled(job=job.id, seq=1))
                return
            async for message in executor.run(job.submit):
                await self._take(job, message)
        except (EngineError, ProtocolError) as error:
            logger.error("job %s: %s", job.id, error.code)  # the message may quote a prompt
            executor.cancel(job.id)
            await self._publish(job, Failed.of(error, job=job.id, seq=1))
        except Exception:
            logger.exception("job %s was lost", job.id)
        if not job.over:
            lost = InternalError("The job was lost.", "The server's log has the details.")
            await self._publish(job, Failed.of(lost, job=job.id, seq=1))

    async def _interrupt(self, job: Job) -> None:
        """End the job that was running when the server was stopped."""
        written = await self.on_disk(self._database.events, job.id)  # one may have been on its way to the disk
        for event in written[len(job.events) :]:
            job.events.append(event)
            job.tell(event)
        if not job.over:
            await self._publish(job, interruption(job.id, 1))

    async def _take(self, job: Job, message: Message) -> None:
        """Handle a message of the worker about a job."""
        if isinstance(message, Event):
            if isinstance(message, Failed) and message.code == WorkerDied.code:
                message = await self.on_disk(self._quarantine.count, job.submit, message)
            elif isinstance(message, Done):
                self._estimates.add(job.submit, time.monotonic() - job.started)
                await self.on_disk(self._quarantine.forgive, job.submit)
            await self._publish(job, message)
        else:
            if isinstance(message, Progress) and message.eta is not None:
                job.remaining = message.eta, time.monotonic()
            job.tell(message)

    async def _publish(self, job: Job, event: Event) -> bool:
        """Number an event, write it down, tell the listeners. Returns False if the database knows better.

        Raises:
            UnwritableFile: it could not be written and was not passed on. A last event is passed on nevertheless: the
                job is over, and the next start of the server finds it unfinished and reports it as interrupted.
        """
        event = replace(event, seq=len(job.events) + 1)
        try:
            if not await self.on_disk(self._database.append, event):
                logger.error("job %s is over already", job.id)
                self._jobs.pop(job.id, None)
                return False
        except EngineError as error:
            if not is_last(event):
                raise
            logger.error("the end of job %s could not be written: %s", job.id, error)
        job.events.append(event)
        if isinstance(event, LayerBegin):
            self.written_bytes += event.bytes
            self._wrote(event.bytes)
        if is_last(event):
            self._jobs.pop(job.id, None)
            self.ended[event.type] += 1
            if job.started:
                self.drawing_seconds += time.monotonic() - job.started
        job.tell(event)
        if job.over and job.forgotten:
            await self.on_disk(self._database.delete, [job.id])
        return True

    # ---- small steps

    def _enqueue(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._queue.add(job)
        self._arrived.set()

    @property
    def problem(self) -> str | None:
        """Why nothing can be drawn now; None if all is well. See `Executor.problem`."""
        return self._slots.problem

    async def _known(self, submit: Submit) -> Job | None:
        try:
            job = await self.find(submit.job)
        except UnknownJob:
            return None
        if job.submit != submit:
            raise _exists(submit.job)
        return job


def _exists(job_id: str) -> JobExists:
    return JobExists(f"The id {job_id} belongs to another job.", "Make a new id for each job.")
