"""The process that draws, and the supervisor that keeps one running. torch is imported in that process only.

The two talk over a pipe in the frames of the wire, so nothing is pickled: `Submit` and `Cancel` go down, the job's
messages come up. Finished layers do not travel in the pipe; the worker writes them into the store and sends their
SHA-256.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing import connection as pipes
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgpack

from engine.errors import EngineError
from server import translate
from server.protocol.errors import InternalError, ProtocolError, WorkerDied
from server.protocol.messages import Cancel, Cancelled, Done, Failed, Message, Submit
from server.protocol.wire import Wire
from server.store import Store

if TYPE_CHECKING:
    from engine.pipeline import LayerFusionPipeline

logger = logging.getLogger(__name__)

LAST = (Done, Failed, Cancelled)
"""A job's messages end with one of these."""

_QUICK_DEATH = 10.0
"""Seconds. A worker that lives shorter than this did not get to work, and the next one is not started at once."""

_LONGEST_PAUSE = 30.0
_STOP_SECONDS = 3.0

_wire = Wire(msgpack.packb, msgpack.unpackb)


class Executor(Protocol):
    """Whoever draws: one process on this machine, for now."""

    async def ready(self) -> None:
        """Wait until a job can be taken."""
        ...

    def run(self, submit: Submit) -> AsyncIterator[Message]:
        """Draw one job; one at a time. The messages end with `Done`, `Failed` or `Cancelled`; `seq` is not set yet."""
        ...

    def cancel(self, job: str) -> None:
        """Ask the running job to stop after its step. `run` then ends with `Cancelled`, or as it would have."""
        ...


class Worker:
    """An executor in a process of its own, started again whenever it ends. Use it as an async context manager.

    Args:
        folder: the store's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: _Process | None = None
        self._started = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Worker:
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._supervisor is not None
        self._supervisor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)

    @property
    def pid(self) -> int | None:
        """Of the process that is running, None between two."""
        return self._process.pid if self._process and self._started.is_set() else None

    async def ready(self) -> None:
        """See `Executor.ready`."""
        await self._started.wait()

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        """See `Executor.run`."""
        process = self._process
        assert process is not None, "ready() was not awaited"
        process.send(submit)
        while (message := await process.messages.get()) is not None:
            yield message
            if isinstance(message, LAST):
                return
        yield translate.failure(
            submit.job,
            WorkerDied(
                f"The process that draws ended in the middle of the job ({process.ending}).",
                "A new one is starting: try again, with a smaller canvas if the machine ran out of memory.",
            ),
        )

    def cancel(self, job: str) -> None:
        """See `Executor.cancel`."""
        if self._process is not None:
            self._process.send(Cancel(job=job))

    async def _supervise(self) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            born = time.monotonic()
            try:
                loop = asyncio.get_running_loop()
                self._process = await asyncio.to_thread(_Process, self._folder, loop, self._started.clear)
            except Exception as error:
                logger.exception("a worker could not be started")
                ending = f"not started: {error}"
            else:
                self._started.set()
                await self._process.ended.wait()
                ending = self._process.ending
            quick = time.monotonic() - born < _QUICK_DEATH
            pause = min(_LONGEST_PAUSE, 2 * pause + 0.5) if quick else 0.0
            logger.warning("the worker ended (%s); starting another in %g s", ending, pause)


class _Process:
    """One worker process from its start to its end.

    Args:
        folder: the store's.
        loop: where messages go.
        on_end: called in the loop once it has ended, before anybody else can notice.

    Attributes:
        messages: what it sent, then None once it has ended.
        ended: set on the loop once it has ended.
    """

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self._loop = loop
        self._on_end = on_end
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=main, args=(theirs, folder), name="layerfusion-worker", daemon=True
        )
        self._process.start()
        theirs.close()  # or the end of the process would not be the end of the pipe
        threading.Thread(target=self._listen, name="layerfusion-worker-pipe", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def send(self, message: Message) -> None:
        with contextlib.suppress(OSError):  # it has just ended; the listener says so
            self._pipe.send_bytes(_wire.encode(message))

    def stop(self) -> None:
        """End it, gently if it lets us."""
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _listen(self) -> None:
        """Carry messages to the loop, in a thread of its own: pipes cannot be awaited on Windows."""
        try:
            while self._pipe in pipes.wait([self._pipe, self._process.sentinel]):
                message = _wire.decode(self._pipe.recv_bytes())
                assert isinstance(message, Message)
                self._call(self.messages.put_nowait, message)
        except (EOFError, OSError):
            logger.debug("the worker closed its pipe")
        self._process.join()
        self._call(self._end)

    def _end(self) -> None:
        self._on_end()
        self.ended.set()
        self.messages.put_nowait(None)

    def _call(self, function: Callable[..., None], *arguments: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server has stopped
            self._loop.call_soon_threadsafe(function, *arguments)


# ---- in the worker process -------------------------------------------------------------------------------------------


def main(pipe: Connection, folder: Path) -> None:
    """Draw jobs until the server closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the server decides what it means
    logging.basicConfig(format="worker: %(levelname)s %(name)s: %(message)s")
    _Drawing(pipe, Store(folder)).serve()


class _Drawing:
    """The worker's side of the pipe. The weights of the model that was used last stay in memory."""

    def __init__(self, pipe: Connection, store: Store) -> None:
        self._pipe = pipe
        self._store = store
        self._pipeline: LayerFusionPipeline | None = None

    def serve(self) -> None:
        try:
            importlib.import_module("engine.pipeline")  # seconds of torch, better now than in the first job
        except Exception:
            logger.exception("the engine cannot be imported")  # the first job meets it again and tells its client
        while True:
            message = self._receive()
            if isinstance(message, Submit):
                self._send(self._draw(message))

    def _draw(self, submit: Submit) -> Message:
        """Draw one job and return its last message."""
        try:
            request = translate.to_request(submit, self._store)
            with contextlib.closing(self._ready(request.model).generate(request)) as events:
                for event in events:
                    message = translate.from_event(submit.job, event, self._store)
                    if isinstance(message, Done):
                        return message
                    self._send(message)
                    if self._is_cancelled(submit.job):
                        return Cancelled(job=submit.job, seq=1)
            raise InternalError("The engine stopped without finishing.")
        except (EngineError, ProtocolError) as error:
            return translate.failure(submit.job, error)
        except Exception as error:
            logger.exception("job %s failed", submit.job)
            return translate.failure(
                submit.job,
                InternalError(f"The engine failed: {type(error).__name__}.", "The server's log has the details."),
            )

    def _ready(self, model: str) -> LayerFusionPipeline:
        from engine.models.registry import find_model
        from engine.pipeline import LayerFusionPipeline

        if self._pipeline is None or self._pipeline.spec.name != model:
            self._pipeline = None  # two sets of weights at once may not fit
            self._pipeline = LayerFusionPipeline(find_model(model))
        return self._pipeline

    def _is_cancelled(self, job: str) -> bool:
        while self._pipe.poll():
            message = self._receive()
            if isinstance(message, Cancel) and message.job == job:
                return True
        return False

    def _send(self, message: Message) -> None:
        try:
            self._pipe.send_bytes(_wire.encode(message))
        except OSError:
            raise SystemExit from None  # the server has gone

    def _receive(self) -> Message:
        try:
            message = _wire.decode(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise SystemExit from None  # the server has gone
        assert isinstance(message, Message)
        return message
