"""Answers one client's requests about jobs: to submit, follow, cancel, move, list, fetch, show, export, delete them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from layerfusion.engine.errors import EngineError
from layerfusion.server import translate
from layerfusion.server.net import style_requests
from layerfusion.server.net.housekeeping import Housekeeper
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.net.rights import Rights
from layerfusion.server.net.session import JobRequest, StyleRequest
from layerfusion.server.protocol.errors import (
    LayerLost,
    NotFinished,
    ProtocolError,
    QueueFull,
    UnknownJob,
    UnknownLayer,
)
from layerfusion.server.protocol.messages import (
    Accepted,
    Ack,
    Cancel,
    Delete,
    Deleted,
    DeleteFailed,
    DeleteStyle,
    Done,
    Export,
    Failed,
    Fetch,
    FetchFailed,
    FetchSubmission,
    FetchThumbnail,
    FileBegin,
    JobList,
    JobSummary,
    LayerBegin,
    ListJobs,
    ListStyles,
    Move,
    Rename,
    Renamed,
    RenameFailed,
    Resubmit,
    Resume,
    SaveStyle,
    Submission,
    Submit,
    Thumbnail,
)
from layerfusion.server.queue.job import Job
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.records import JobOutline
from layerfusion.server.storage.retention import delete
from layerfusion.server.worker.export_process import export
from layerfusion.server.worker.thumbnails import thumbnail

logger = logging.getLogger(__name__)

_MOST_EXPORTS = 8
"""Most exports of one client at the same time."""


@dataclass(frozen=True)
class Jobs:
    """The server's jobs, shared by the request handlers of all clients.

    Attributes:
        scheduler: the jobs that are not over.
        database: all jobs.
        store: their layers.
        keeper: keeps the folder of both.
        uploads: returns the SHA-256 of the layers that connected clients have uploaded.
        exporting: held during an export, so that the machine, which also draws, makes one file at a time.
        checking: held while a request is checked, because its kept layers are in memory during the check.
        showing: held while a thumbnail is made, because a list of pictures asks for many at once.
        reading: held while a file is read, because it takes much memory.
        scaling: held while a layer is scaled.
    """

    scheduler: Scheduler
    database: Database
    store: LayerStore
    keeper: Housekeeper
    uploads: Callable[[], Set[str]]
    exporting: asyncio.Lock
    checking: asyncio.Lock
    showing: asyncio.Lock
    reading: asyncio.Lock
    scaling: asyncio.Lock


class RequestHandler:
    """Handles the requests of one client.

    Args:
        jobs: the server's jobs.
        outbox: the outbox for answers and events.
        rights: what the client may see and use.
    """

    def __init__(self, jobs: Jobs, outbox: Outbox, rights: Rights) -> None:
        self._jobs = jobs
        self._scheduler = jobs.scheduler
        self._outbox = outbox
        self._rights = rights
        self._exports: set[asyncio.Task[None]] = set()
        self._passing: set[str] = set()

    def close(self) -> None:
        """Stop following jobs and cancel exports after the client disconnected. Its jobs continue."""
        self._scheduler.leave(self._outbox.put)
        for task in self._exports:
            task.cancel()

    async def forget(self) -> None:
        """Delete the passing jobs after the client disconnected, for nobody will look at them."""
        for job in self._passing:
            await self._scheduler.forget(job)
        if self._passing:
            self._jobs.keeper.wake()

    async def serve(self, request: JobRequest | StyleRequest) -> None:
        """Answer one request. No request makes this raise."""
        match request:
            case Submit() | Resubmit() | Cancel() | Resume():
                await self._serve_job(request)
            case Move():
                self._scheduler.move(self._rights.client, request.job, request.before)
            case Ack():
                await self._acknowledge(request)
            case ListJobs():
                await self._list(request)
            case Fetch():
                await self._fetch(request)
            case FetchThumbnail():
                await self._show(request)
            case FetchSubmission():
                await self._describe(request)
            case Export():
                self._begin_export(request)
            case Delete():
                await self._delete(request)
            case Rename():
                await self._rename(request)
            case ListStyles() | SaveStyle() | DeleteStyle():
                user = self._rights.user.name
                self._outbox.put(await style_requests.answer(request, self._scheduler, self._jobs.database, user))

    # ---- jobs

    async def _serve_job(self, request: Submit | Resubmit | Cancel | Resume) -> None:
        try:
            match request:
                case Submit():
                    await self._follow(*await self._submit(request))
                case Resubmit():
                    await self._follow(*await self._resubmit(request))
                case Cancel():
                    await self._cancel(await self._rights.find(request.job))
                case Resume():
                    await self._resume(await self._rights.find(request.job), request)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(Failed.of(error, job=request.job, seq=0))

    async def _submit(self, submit: Submit) -> list[Job]:
        rights = self._rights
        known = await self._scheduler.known(submit)
        if known is not None:
            return rights.check_own(known)
        await rights.check_layers(submit)
        async with self._jobs.checking:
            await asyncio.to_thread(translate.to_request, submit, self._jobs.store)  # raises if it cannot be drawn
        limit = rights.user.waiting_jobs
        if submit.passing:
            self._passing.update(job.job for job in submit.jobs())
        return rights.check_own(await self._scheduler.submit(rights.client, submit, waiting_jobs=limit))

    async def _cancel(self, job: Job) -> None:
        if job.submit.passing:
            await self._scheduler.forget(job.id)
            self._passing.discard(job.id)
        else:
            await self._scheduler.cancel(job)

    async def _resubmit(self, message: Resubmit) -> list[Job]:
        rights = self._rights
        await rights.find(message.of)
        limit = rights.user.waiting_jobs
        return rights.check_own(await self._scheduler.resubmit(rights.client, message, waiting_jobs=limit))

    async def _resume(self, job: Job, request: Resume) -> None:
        """Send the events after the last one that the client has. If it has the beginning of the next one's layer, the
        rest of that is sent."""
        notice = await asyncio.to_thread(_notice, job.submit)
        begun = job.events[request.after] if request.received and request.after < len(job.events) else None
        self._accept(job, notice)
        after = request.after
        if isinstance(begun, LayerBegin) and request.received <= begun.bytes:
            self._outbox.put(replace(begun, skipped=request.received))
            after += 1
        self._scheduler.follow(job, self._outbox.put, after=after)

    async def _follow(self, *jobs: Job) -> None:
        """Accept jobs of one submission, and send their events."""
        notice = await asyncio.to_thread(_notice, jobs[0].submit)
        for job in jobs:
            self._accept(job, notice)
            self._scheduler.follow(job, self._outbox.put)

    def _accept(self, job: Job, notice: str) -> None:
        position, starts_in = self._scheduler.position(job)
        self._outbox.put(Accepted(job=job.id, position=position, notice=notice, starts_in=starts_in))

    async def _acknowledge(self, ack: Ack) -> None:
        try:
            if not self._rights.user.admin:
                await self._rights.find(ack.job)
            await self._scheduler.acknowledge(ack.job, ack.seq)
        except UnknownJob:
            logger.debug("ignored an acknowledgement of an unknown job")
        except EngineError as error:
            logger.error("an acknowledgement was lost: %s", error)  # the only effect is that the job is kept longer

    # ---- lists, layers and files

    async def _list(self, request: ListJobs) -> None:
        try:
            records = await self._scheduler.on_disk(
                self._jobs.database.outlines, newest=request.newest, **self._rights.listed(request.own)
            )
        except EngineError as error:
            logger.error("jobs could not be listed: %s", error)
            records = []
        self._outbox.put(JobList(jobs=tuple(map(summary, records))))

    async def _fetch(self, request: Fetch) -> None:
        try:
            job = await self._rights.find(request.job)
            begin = _layer(job, request.index)
            if not await asyncio.to_thread(self._jobs.store.is_whole, begin.sha256, begin.bytes):
                raise LayerLost(
                    f"The layer “{begin.name}” is lost or damaged on the server's disk.", "Resubmit the job."
                )
        except (EngineError, ProtocolError) as error:
            self._outbox.put(FetchFailed.of(error, job=request.job, index=request.index))
        else:
            self._outbox.put(begin)

    async def _show(self, request: FetchThumbnail) -> None:
        try:
            job = await self._finished(request.job)
            begins = [event for event in job.events if isinstance(event, LayerBegin)]
            async with self._jobs.showing:
                width, height, pixels = await asyncio.to_thread(
                    thumbnail, job.submit, begins, self._jobs.store, request.side
                )
        except (EngineError, ProtocolError) as error:
            self._outbox.put(FetchFailed.of(error, job=request.job))
        else:
            self._outbox.put(Thumbnail(job=job.id, width=width, height=height, pixels=pixels))

    async def _describe(self, request: FetchSubmission) -> None:
        try:
            job = await self._rights.find(request.job)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(FetchFailed.of(error, job=request.job))
        else:
            self._outbox.put(Submission(job=job.id, submit=job.submit))

    async def _finished(self, job_id: str) -> Job:
        """A finished job.

        Raises:
            UnknownJob: there is no such job.
            NotFinished: it is not finished.
        """
        job = await self._rights.find(job_id)
        if not (job.events and isinstance(job.events[-1], Done)):
            raise NotFinished(f"The job {job.id} is not finished.", "Ask again after it has finished.")
        return job

    async def _delete(self, request: Delete) -> None:
        jobs = self._jobs
        try:
            if not self._rights.user.admin:
                await self._rights.find(request.job)
            await self._scheduler.on_disk(delete, jobs.database, jobs.store, request.job, uploads=jobs.uploads())
        except UnknownJob:
            self._outbox.put(Deleted(job=request.job))
        except (EngineError, ProtocolError) as error:
            self._outbox.put(DeleteFailed.of(error, job=request.job))
        else:
            self._passing.discard(request.job)
            jobs.keeper.wake()
            self._outbox.put(Deleted(job=request.job))

    async def _rename(self, request: Rename) -> None:
        try:
            job = await self._rights.find(request.job)
            await self._scheduler.on_disk(self._jobs.database.rename, job.id, request.name)
        except (EngineError, ProtocolError) as error:
            self._outbox.put(RenameFailed.of(error, job=request.job))
        else:
            self._outbox.put(Renamed(job=job.id, name=request.name))

    def _begin_export(self, request: Export) -> None:
        """Start an export as a task, because it takes seconds, in which the client may send other requests."""
        if len(self._exports) >= _MOST_EXPORTS:
            full = QueueFull(f"{len(self._exports)} of your files are being made.", "Wait for one of them.")
            self._outbox.put(FetchFailed.of(full, job=request.job, format=request.format))
            return
        task = asyncio.create_task(self._export(request))
        self._exports.add(task)
        task.add_done_callback(self._exports.discard)

    async def _export(self, request: Export) -> None:
        jobs = self._jobs
        try:
            job = await self._finished(request.job)
            for layer in request.layers:
                await self._rights.check_layer(layer.layer, layer.name)
            async with jobs.exporting:
                digest, size = await export(jobs.database.path, jobs.store.folder, request)
            if not await self._scheduler.on_disk(jobs.database.add_file, job.id, digest, size):
                jobs.store.remove(digest)
                raise UnknownJob(f"The job {job.id} was deleted.", "Draw it again.")
        except (EngineError, ProtocolError) as error:
            self._outbox.put(FetchFailed.of(error, job=request.job, format=request.format))
        else:
            self._outbox.put(FileBegin(job=job.id, transfer=0, format=request.format, bytes=size, sha256=digest))


def summary(job: JobOutline) -> JobSummary:
    """A job as an entry of `JobList`."""
    return JobSummary(
        job=job.id,
        state=job.state,
        title=job.title,
        width=job.width,
        height=job.height,
        layers=job.layers,
        submitted=job.submitted,
        ended=job.ended,
        fetched=job.fetched is not None,
        name=job.name,
        submission=job.submission or None,
    )


def _layer(job: Job, index: int) -> LayerBegin:
    for event in job.events:
        if isinstance(event, LayerBegin) and event.index == index:
            return replace(event, transfer=0)
    raise UnknownLayer(f"The job {job.id} has no finished layer {index}.", "“job_list” says how many there are.")


def _notice(submit: Submit) -> str:
    """What the artist should know of a job's model. It reads the folder of models, which may lie on a slow disk."""
    try:
        return translate.model_notice(submit)
    except EngineError:  # the model of an old job may no longer be installed
        return ""
