"""The worker process, which draws: it receives jobs through a pipe, sends their messages, and stores their layers."""

from __future__ import annotations

import contextlib
import logging
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import msgpack

from layerfusion.engine.errors import EngineError
from layerfusion.server import translate
from layerfusion.server.protocol.errors import InternalError, ProtocolError
from layerfusion.server.protocol.messages import Cancel, Cancelled, Done, Failed, Message, Submit
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.loading import EngineLoader, Load, Pipeline

logger = logging.getLogger(__name__)

READY = b"ready"
"""The first frame of the process: it can take a job. No message has this encoding."""

_wire = Wire(msgpack.packb, msgpack.unpackb)


def main(pipe: Connection, folder: Path, load: Load) -> None:
    """Draw jobs until the server closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the server decides what to do
    logging.basicConfig(format="worker: %(levelname)s %(name)s: %(message)s")
    _Worker(pipe, LayerStore(folder), load).serve()


class _Worker:
    """The worker's end of the pipe. The model that was used last stays in memory."""

    def __init__(self, pipe: Connection, store: LayerStore, load: Load) -> None:
        self._pipe = pipe
        self._store = store
        self._load = load
        self._loaded: tuple[str, Pipeline] | None = None

    def serve(self) -> None:
        if isinstance(self._load, EngineLoader):
            try:
                self._load.prepare()  # seconds of torch, better now than in the first job
            except Exception:
                logger.exception(
                    "the engine cannot be imported"
                )  # the first job fails with the same error and reports it
        self._send_bytes(READY)
        while True:
            message = self._receive()
            if isinstance(message, Submit):
                self._send(self._draw(message))

    def _draw(self, submit: Submit) -> Message:
        """Draw one job and return its last message."""
        try:
            request = translate.to_request(submit, self._store)
            with contextlib.closing(self._pipeline(request.model).generate(request)) as events:
                for event in events:
                    message = translate.from_event(submit.job, event, self._store)
                    if isinstance(message, Done):
                        return message
                    self._send(message)
                    if self._is_cancelled(submit.job):
                        return Cancelled(job=submit.job, seq=1)
            raise InternalError("The engine stopped without finishing.")
        except (EngineError, ProtocolError) as error:
            return Failed.of(error, job=submit.job, seq=1)
        except Exception as error:
            logger.exception("job %s failed", submit.job)
            bug = InternalError(f"The engine failed: {type(error).__name__}.", "The server's log has the details.")
            return Failed.of(bug, job=submit.job, seq=1)

    def _pipeline(self, model: str) -> Pipeline:
        if self._loaded is None or self._loaded[0] != model:
            self._loaded = None  # two models at once may not fit into memory
            self._loaded = model, self._load(model)
        return self._loaded[1]

    def _is_cancelled(self, job: str) -> bool:
        while self._pipe.poll():
            message = self._receive()
            if isinstance(message, Cancel) and message.job == job:
                return True
        return False

    def _send(self, message: Message) -> None:
        self._send_bytes(_wire.encode(message))

    def _send_bytes(self, frame: bytes) -> None:
        try:
            self._pipe.send_bytes(frame)
        except OSError:
            raise SystemExit from None  # the server has gone

    def _receive(self) -> Message:
        try:
            message = _wire.decode(self._pipe.recv_bytes())
        except (EOFError, OSError):
            raise SystemExit from None  # the server has gone
        assert isinstance(message, Message)
        return message
