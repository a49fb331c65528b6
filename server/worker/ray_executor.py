"""An executor that draws in an actor of a Ray cluster, on this machine or another, and makes a new one when it dies.

Ray restarts nothing and repeats nothing: the scheduler knows what a death means. Finished layers come through Ray's
object store, and this process writes them, because the server alone owns list and files.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgpack

from layerfusion.engine.errors import EngineError
from layerfusion.server.protocol.errors import InternalError, ProtocolError
from layerfusion.server.protocol.messages import Cancelled, Existing, Failed, LayerBegin, Message, Submit, is_last
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.endings import died, hung
from layerfusion.server.worker.loading import Load
from layerfusion.server.worker.patience import patient
from layerfusion.server.worker.ray_actor import Actor
from layerfusion.server.worker.ray_cluster import RayCluster
from layerfusion.server.worker.starts import Restarted

logger = logging.getLogger(__name__)

_CALLS = 4
"""Calls of an actor at the same time: `live`, `draw`, `cancel` and one to spare."""

_wire = Wire(msgpack.packb, msgpack.unpackb)


class RayExecutor(Restarted):
    """Draws in an actor. Use it as an async context manager.

    Args:
        cluster: where the actor runs.
        store: where finished layers are written.
        load: makes the pipeline of a model in the actor.
        silence_seconds: time without a message after which a job counts as hanging.
        cancel_seconds: time in which a cancelled job must stop.
    """

    def __init__(
        self,
        cluster: RayCluster,
        store: LayerStore,
        load: Load,
        *,
        silence_seconds: float = 900,
        cancel_seconds: float = 30,
    ) -> None:
        super().__init__()
        self._ray = cluster.ray
        self._resources = {"num_gpus": 1, "num_cpus": 0} if cluster.cards else {"num_cpus": 1}
        self._store = store
        self._load = load
        self._silence_seconds = silence_seconds
        self._cancel_seconds = cancel_seconds
        self._actor: Any = None
        self._model: str | None = None
        self._job: str | None = None
        self._stopping_job: str | None = None
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RayExecutor:
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._supervisor is not None
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        if self._actor is not None:
            self._ray.kill(self._actor)

    @property
    def model(self) -> str | None:
        """See `Executor.model`."""
        return self._model

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        """See `Executor.run`."""
        actor, self._stopping_job = self._actor, None
        self._job, self._model = submit.job, submit.model
        try:
            uploads = [await asyncio.to_thread(self._upload, digest) for digest in self._uploads(submit)]
            answers = actor.draw.options(num_returns="streaming").remote(_wire.encode(submit), *uploads)
            while True:
                frame, pixels = await patient(_next(answers), self._silence_seconds)
                message = _wire.decode(frame)
                assert isinstance(message, Message)
                if isinstance(message, LayerBegin):
                    await asyncio.to_thread(self._keep, message, pixels)
                yield message
                if is_last(message):
                    return
        except TimeoutError:
            logger.error("job %s was silent for %g s; its actor is ended", submit.job, self._silence_seconds)
            self._end(actor)
            yield Failed.of(hung(self._silence_seconds), job=submit.job, seq=1)
        except (self._ray.exceptions.RayError, StopAsyncIteration) as error:
            self._end(actor)
            if self._stopping_job == submit.job:
                yield Cancelled(job=submit.job, seq=1)
            else:
                logger.error("job %s: %s", submit.job, type(error).__name__)  # the text may quote a prompt
                yield Failed.of(died(type(error).__name__), job=submit.job, seq=1)
        except (EngineError, ProtocolError) as error:  # the store's, for example a full disk
            self._end(actor)
            yield Failed.of(error, job=submit.job, seq=1)
        finally:
            self._job = None

    def cancel(self, job: str) -> None:
        """See `Executor.cancel`. The actor is killed if the job does not stop in time."""
        if self._job == job and self._actor is not None and self._stopping_job != job:
            self._stopping_job = job
            self._actor.cancel.remote(job)
            asyncio.get_running_loop().call_later(self._cancel_seconds, self._kill_if_running, self._actor, job)

    def _kill_if_running(self, actor: Any, job: str) -> None:
        if self._job == job and actor is self._actor:
            logger.error("job %s did not stop within %g s; its actor is ended", job, self._cancel_seconds)
            self._end(actor)

    def _end(self, actor: Any) -> None:
        """Kill an actor, which may be dead, so that a new one is made. It gets no more jobs from now on."""
        if actor is self._actor:
            self._ready.clear()
        self._ray.kill(actor)

    def _uploads(self, submit: Submit) -> list[str]:
        """The SHA-256 of the uploaded layers of a job, each once. The actor reports those that are not in the store."""
        sources = (submit.background, *submit.foregrounds)
        digests = dict.fromkeys(source.layer for source in sources if isinstance(source, Existing))
        return [digest for digest in digests if self._store.has(digest)]

    def _upload(self, digest: str) -> Any:
        return self._ray.put(self._store.read(digest))

    def _keep(self, message: LayerBegin, pixels: bytes) -> None:
        """Write a finished layer.

        Raises:
            UnwritableFile: the disk is full.
            InternalError: the pixels are not those that the message names.
        """
        if self._store.put(pixels) != message.sha256:
            raise InternalError("A layer was changed on its way through Ray.", "The server's log has the details.")

    async def _supervise(self) -> None:
        """Keep one actor alive."""
        pause = 0.0
        actors = self._ray.remote(Actor).options(
            max_restarts=0, max_task_retries=0, max_concurrency=_CALLS, **self._resources
        )
        while True:
            await asyncio.sleep(pause)
            worked = False
            self._actor = actors.remote(self._load)
            try:
                await self._actor.prepare.remote()
                worked = True
                self._starts.worked()
                self._ready.set()
                await self._actor.live.remote()
            except self._ray.exceptions.RayError as error:
                ending = str(error).partition("\n")[0]
            else:
                ending = "it returned"
            finally:
                self._ready.clear()
                self._model = None
            pause = self._starts.ended(ending, worked=worked)
            logger.warning("the actor ended (%s); making another in %g s", ending, pause)


async def _next(answers: Any) -> Any:
    return await (await anext(answers))
