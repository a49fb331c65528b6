"""The process that draws, and the supervisor that keeps one running. torch is imported in that process only.

Every step of a job sends a message, so a process that sends none for too long hangs. Such a process is killed, and so
is one that does not stop a cancelled job in time. However the process ends, its job gets a last message, and a new
process is started.

The two processes exchange frames of the wire protocol over a pipe, so nothing is pickled: the supervisor sends `Submit`
and `Cancel`, the worker sends the job's messages. Finished layers do not go through the pipe; the worker writes them
into the store and sends their SHA-256.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable
from multiprocessing import connection as pipes
from multiprocessing.context import SpawnProcess
from pathlib import Path

import msgpack

from layerfusion.engine.spawning import spawning
from layerfusion.server.protocol.messages import Cancel, Cancelled, Failed, LayerBegin, Message, Submit, is_last
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.worker.endings import died, hung
from layerfusion.server.worker.loading import Load
from layerfusion.server.worker.patience import patient
from layerfusion.server.worker.process import READY, main
from layerfusion.server.worker.starts import Restarted

logger = logging.getLogger(__name__)

_STOP_SECONDS = 3.0

_wire = Wire(msgpack.packb, msgpack.unpackb)


def _ignore(digest: str) -> None:
    """Nobody wants to know which layers were written."""


class WorkerSupervisor(Restarted):
    """An executor that draws in a worker process and restarts it whenever it ends. Use it as an async context manager.

    Args:
        folder: the layer store's folder.
        silence_seconds: time without a message after which a job counts as hanging.
        cancel_seconds: time in which a cancelled job must stop.
        load: loads the pipeline of a model in the worker process.
        written: is called with the SHA-256 of every layer that the worker has written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        silence_seconds: float = 900,
        cancel_seconds: float = 30,
        load: Load,
        written: Callable[[str], None] = _ignore,
    ) -> None:
        super().__init__()
        self._arguments = folder, load
        self._written = written
        self._silence_seconds = silence_seconds
        self._cancel_seconds = cancel_seconds
        self._process: _Process | None = None
        self._killers: set[asyncio.Task[None]] = set()
        self._supervisor: asyncio.Task[None] | None = None
        self._stopping_job: str | None = None

    async def __aenter__(self) -> WorkerSupervisor:
        self._loop = asyncio.get_running_loop()
        self._supervisor = self._loop.create_task(self._supervise())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._supervisor is not None
        self._supervisor.cancel()
        for task in self._killers:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._supervisor
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)

    @property
    def pid(self) -> int | None:
        """The process id of the worker; None while a new one is starting."""
        return self._process.pid if self._process and self._ready.is_set() else None

    @property
    def model(self) -> str | None:
        """See `Executor.model`."""
        return self._process.model if self._process is not None else None

    async def run(self, submit: Submit) -> AsyncIterator[Message]:
        """See `Executor.run`."""
        process = self._process
        assert process is not None, "ready() was not awaited"
        self._stopping_job = None
        process.send(submit)
        hangs = False
        while True:
            try:
                seconds = float("inf") if hangs else self._silence_seconds
                message = await patient(process.messages.get(), seconds)
            except TimeoutError:
                logger.error("job %s was silent for %g s; its process is ended", submit.job, self._silence_seconds)
                hangs = True
                process.kill()
                continue
            if message is None:
                break
            if getattr(message, "job", None) == submit.job:  # the previous job may have been abandoned
                if isinstance(message, LayerBegin):
                    self._written(message.sha256)
                yield message
                if is_last(message):
                    return
        if self._stopping_job == submit.job:
            yield Cancelled(job=submit.job, seq=1)
        elif hangs:
            yield Failed.of(hung(self._silence_seconds), job=submit.job, seq=1)
        else:
            yield Failed.of(died(process.ending), job=submit.job, seq=1)

    def cancel(self, job: str) -> None:
        """See `Executor.cancel`. The process is killed if the job does not stop in time."""
        process = self._process
        if process is not None and self._stopping_job != job:
            self._stopping_job = job
            process.send(Cancel(job=job))
            killer = self._loop.create_task(self._kill_if_running(process, job))
            self._killers.add(killer)
            killer.add_done_callback(self._killers.discard)

    async def _kill_if_running(self, process: _Process, job: str) -> None:
        with contextlib.suppress(TimeoutError):
            await patient(process.ended.wait(), self._cancel_seconds)
        if process.job == job:
            logger.error("job %s did not stop within %g s; its process is ended", job, self._cancel_seconds)
            process.kill()

    def _begin(self) -> None:
        self._starts.worked()
        self._ready.set()

    async def _supervise(self) -> None:
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                self._process = await asyncio.to_thread(
                    _Process, self._arguments, self._loop, self._begin, self._ready.clear
                )
            except Exception as error:
                logger.exception("a worker could not be started")
                ending, worked = f"not started: {error}", False
            else:
                self._process.listen()
                await self._process.ended.wait()
                ending, worked = self._process.ending, self._process.worked
            pause = self._starts.ended(ending, worked=worked)
            logger.warning("the worker ended (%s); starting another in %g s", ending, pause)


class _Process:
    """One worker process from its start to its end.

    Args:
        arguments: the arguments of `main` after the pipe.
        loop: the event loop that gets the messages.
        begin: is called in the loop when the process can take a job.
        end: is called in the loop when it has ended, before `ended` is set.

    Attributes:
        messages: its messages, then None when it has ended.
        ended: is set in the loop when it has ended.
        job: id of the job that it is drawing.
        model: name of its last job's model, which stays in its memory; None before its first job and after its end.
        worked: whether it has started so far that it could take a job.
    """

    def __init__(
        self,
        arguments: tuple[Path, Load],
        loop: asyncio.AbstractEventLoop,
        begin: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self.job: str | None = None
        self.model: str | None = None
        self.worked = False
        self._loop = loop
        self._begin = begin
        self._ended = end
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with spawning() as context:
            self._pipe, theirs = context.Pipe()
            self._process: SpawnProcess = context.Process(
                target=main, args=(theirs, *arguments, os.getpid()), name="layerfusion-worker", daemon=True
            )
            self._process.start()
        theirs.close()  # otherwise the pipe would not close when the process ends

    def listen(self) -> None:
        """Start to send and receive messages. Call it after the owner has stored this object, because `begin` may be
        called at once."""
        threading.Thread(target=self._listen, name="layerfusion-worker-in", daemon=True).start()
        threading.Thread(target=self._write, name="layerfusion-worker-out", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def ending(self) -> str:
        """How it ended, for messages: "signal 9" or "exit code 1"."""
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def send(self, message: Message) -> None:
        if isinstance(message, Submit):
            self.job, self.model = message.job, message.model
        self._frames.put(_wire.encode(message))

    def kill(self) -> None:
        """Kill the process; `messages` gets None when it has ended."""
        self._process.kill()

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time."""
        self._process.terminate()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _listen(self) -> None:
        """Pass messages to the loop. It runs in its own thread because pipes cannot be awaited on Windows."""
        try:
            while self._pipe in pipes.wait([self._pipe, self._process.sentinel]):
                frame = self._pipe.recv_bytes()
                if frame == READY:
                    self.worked = True
                    self._call(self._begin)
                    continue
                message = _wire.decode(frame)
                assert isinstance(message, Message)
                self._call(self._take, message)
        except (EOFError, OSError):
            logger.debug("the worker closed its pipe")
        self._process.join()
        self._call(self._end)

    def _write(self) -> None:
        """Send what `send` was given, in its own thread: a worker in a long step reads nothing, and writing to a full
        pipe waits, on some systems even for one large message."""
        with contextlib.suppress(OSError):  # it has just ended, which `_listen` reports
            while (frame := self._frames.get()) is not None:
                self._pipe.send_bytes(frame)

    def _take(self, message: Message) -> None:
        if is_last(message) and getattr(message, "job", None) == self.job:
            self.job = None
        self.messages.put_nowait(message)

    def _end(self) -> None:
        self.job = self.model = None
        self._frames.put(None)
        self._ended()
        self.ended.set()
        self.messages.put_nowait(None)

    def _call(self, function: Callable[..., None], *arguments: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed because the server has stopped
            self._loop.call_soon_threadsafe(function, *arguments)
