"""The worker process, which draws: it receives jobs through a pipe, sends their messages, and stores their layers."""

from __future__ import annotations

import contextlib
import logging
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import msgpack

from layerfusion.server import logs
from layerfusion.server.protocol.messages import Cancel, Message, Submit
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.drawing import Drawer
from layerfusion.server.worker.loading import EngineLoader, Load
from layerfusion.server.worker.parent import die_with_parent

logger = logging.getLogger(__name__)

READY = b"ready"
"""The first frame of the process: it can take a job. No message has this encoding."""

_wire = Wire(msgpack.packb, msgpack.unpackb)


def main(pipe: Connection, folder: Path, load: Load, parent: int) -> None:
    """Draw jobs until the server closes the pipe or ends."""
    die_with_parent(parent)
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C and a closed terminal reach all processes; the server decides what to do
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logs.start("worker")
    _Worker(pipe, folder, load).serve()


class _Worker:
    """The worker's end of the pipe."""

    def __init__(self, pipe: Connection, folder: Path, load: Load) -> None:
        self._pipe = pipe
        self._load = load
        self._drawer = Drawer(LayerStore(folder), load)

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
                self._draw(message)

    def _draw(self, submit: Submit) -> None:
        with contextlib.closing(self._drawer.draw(submit, lambda: self._is_cancelled(submit.job))) as messages:
            for message in messages:
                self._send(message)

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
