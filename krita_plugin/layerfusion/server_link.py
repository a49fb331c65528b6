"""The connection to the server: one thread that finds the server, talks to it, and reconnects when the connection ends.

Nothing of Krita is called here. Every event is passed to `deliver` as a value: `Online`, `Offline`, `ArrivedLayer` or
a message of the protocol. `deliver` is called on the link's thread and must pass the value on to the GUI thread.
"""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue

from . import handshake
from .bundled import WIRE, Connection, ConnectionClosed, InvalidStatus, WebSocketException
from .images import Picture
from .jobs import ArrivedLayer
from .protocol import location
from .protocol.errors import BadTransfer, ProtocolError
from .protocol.frames import Arrival, Chunk, split
from .protocol.messages import (
    Cancel,
    Failed,
    LayerBegin,
    LayerEnd,
    Message,
    Refused,
    Resume,
    Submit,
    Upload,
    Uploaded,
    UploadReady,
    UploadRefused,
    Welcome,
)
from .server_words import told
from .translation import tr

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.7
"""Seconds between two attempts to find or reach a server."""

LAYERS_RESUME_SINCE = (1, 4)
"""The version of the protocol in which a layer can be continued where the connection was lost."""


@dataclass(frozen=True)
class Online:
    """The link is connected to a server that speaks our protocol."""

    welcome: Welcome


@dataclass(frozen=True)
class Offline:
    """There is no connection. The link tries again.

    Attributes:
        resumable: whether the server still runs, so that its jobs can be resumed.
        message, hint: what is wrong and the remedy; both empty if no server runs.
    """

    resumable: bool
    message: str = ""
    hint: str = ""


@dataclass(frozen=True)
class _Waiting:
    """A job whose pictures are being uploaded, one after the other, because the server accepts one upload at a time.

    Attributes:
        submit: the submission to send after them.
        pictures: the one that is being uploaded, and those after it.
    """

    submit: Submit
    pictures: tuple[Picture, ...]


class ServerLink:
    """A connection that is made again whenever it is lost, until `stop`.

    Args:
        deliver: called with every event, on the link's thread.
    """

    def __init__(self, deliver: Callable[[object], None]) -> None:
        self._deliver = deliver
        self._identity = str(uuid.uuid4())  # the server queues jobs by identity, across lost connections
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._told: Offline | None = None
        self._outbox: SimpleQueue[Message | Chunk | None] = SimpleQueue()
        self._uploads: dict[int, _Waiting] = {}
        self._arrivals: dict[int, tuple[LayerBegin, Arrival, list[bytes | memoryview]]] = {}
        self._begun: dict[tuple[str, int], bytes] = {}
        """(job, seq) -> the beginning of a layer that was received before the connection was lost."""
        self._resumes_layers = False
        self._cancelled: set[str] = set()
        self._transfers = itertools.count(1)
        self._thread = threading.Thread(target=self._run, name="layerfusion-link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread. Waits for the thread at most 2 seconds."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        self._thread.join(2)

    def send(self, message: Message) -> None:
        """Queue one message for sending. It is dropped if there is no connection, which `Offline` reports.

        A `Resume` gets the number of bytes that have arrived of the next layer, so that the server sends the rest only.
        A job that is cancelled while its pictures are uploaded is not submitted.
        """
        if isinstance(message, Cancel):
            self._cancelled.add(message.job)
        if isinstance(message, Resume) and self._resumes_layers:
            message = replace(message, received=len(self._begun.get((message.job, message.after + 1), b"")))
        self._outbox.put(message)

    def submit(self, submit: Submit, pictures: tuple[Picture, ...]) -> None:
        """Send a submission after uploading the pictures that it needs.

        A refused upload is delivered as the job's `Failed`.
        """
        if not pictures:
            self._submit(submit)
            return
        transfer = next(self._transfers)
        self._uploads[transfer] = _Waiting(submit, pictures)
        picture = pictures[0]
        self._outbox.put(Upload(transfer=transfer, layer=picture.sha256, bytes=len(picture.data), resumes=True))

    def _submit(self, submit: Submit) -> None:
        """Send a submission, unless all its jobs were cancelled meanwhile; those that were are cancelled again."""
        cancelled = [each.job for each in submit.jobs() if each.job in self._cancelled]
        if len(cancelled) < len(submit.jobs()):
            self._outbox.put(submit)
            for job in cancelled:
                self._outbox.put(Cancel(job=job))

    # ---- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            runtime = location.read()
            offline = Offline(resumable=False) if runtime is None else self._visit(runtime)
            if offline != self._told and not self._stopping.is_set():
                self._told = offline
                self._deliver(offline)
            self._stopping.wait(RETRY_SECONDS)

    def _visit(self, runtime: location.Runtime) -> Offline:
        """Connect and exchange messages until the connection ends; return how it ended."""
        try:
            with handshake.connection(runtime) as connection:
                self._connection = connection
                if not self._stopping.is_set():  # `stop` closes only a connection that it finds here
                    self._converse(connection)
        except ProtocolError as error:
            return Offline(False, error.message, error.hint)
        except InvalidStatus as error:
            status = error.response.status_code
            return Offline(
                True, tr("The server refused the connection ({status}).", status=status), tr("Start the server again.")
            )
        except (OSError, WebSocketException) as error:
            logger.info("connection lost: %s", error)
        except Exception as error:
            logger.exception("the link failed")
            return Offline(
                False, tr("An error occurred in the plugin: {error}", error=repr(error)), tr("Please report it.")
            )
        finally:
            self._connection = None
            self._uploads.clear()
            self._begun = {
                (begin.job, begin.seq): b"".join(parts) for begin, _, parts in self._arrivals.values() if parts
            } or self._begun
            self._arrivals.clear()
        if location.read() is None:
            return Offline(resumable=False)
        return Offline(True, tr("The connection to the server was lost."), tr("The plugin tries to connect again."))

    def _converse(self, connection: Connection) -> None:
        welcome = handshake.greet(connection, self._identity)
        self._resumes_layers = welcome.protocol >= LAYERS_RESUME_SINCE
        self._outbox = SimpleQueue()
        sender = threading.Thread(target=self._send_all, args=(connection, self._outbox), daemon=True)
        sender.start()
        try:
            self._told = None
            self._deliver(Online(welcome))
            for frame in connection:
                item = WIRE.decode(frame)
                if item is not None:
                    self._receive(item)
        finally:
            self._outbox.put(None)

    def _send_all(self, connection: Connection, outbox: SimpleQueue[Message | Chunk | None]) -> None:
        """Send the queued messages until None. It runs on its own thread, so that a large upload does not delay
        receiving."""
        try:
            while (item := outbox.get()) is not None:
                connection.send(WIRE.encode(item))
        except ConnectionClosed:
            pass  # the receiving thread notices and reports it
        except Exception:
            logger.exception("sending failed")
            connection.close()

    def _receive(self, item: Message | Chunk) -> None:
        if isinstance(item, Chunk):
            _, arrival, parts = self._arrival(item.transfer)
            arrival.add(item)
            parts.append(item.data)
        elif isinstance(item, LayerBegin):
            before = self._before(item)
            arrival = Arrival(item.bytes, item.sha256, before)
            self._arrivals[item.transfer] = item, arrival, [before] if before else []
        elif isinstance(item, LayerEnd):
            begin, arrival, parts = self._arrival(item.transfer)
            del self._arrivals[item.transfer]
            arrival.finish()
            pixels = b"".join(parts)  # the only copy
            self._deliver(ArrivedLayer(begin, Picture(begin.x, begin.y, begin.width, begin.height, pixels)))
        elif isinstance(item, (UploadReady, Uploaded, UploadRefused)):
            self._advance_upload(item)
        elif isinstance(item, Refused):
            raise ProtocolError(*told(item))
        else:
            self._deliver(item)

    def _before(self, begin: LayerBegin) -> bytes:
        """The bytes of a layer that arrived over an earlier connection and are not sent again."""
        if begin.skipped == 0:
            return b""
        begun = self._begun.pop((begin.job, begin.seq), b"")
        if len(begun) < begin.skipped:
            raise BadTransfer(
                tr("The server left out {count} bytes of a layer that never arrived.", count=begin.skipped)
            )
        return begun[: begin.skipped]

    def _arrival(self, transfer: int) -> tuple[LayerBegin, Arrival, list[bytes | memoryview]]:
        try:
            return self._arrivals[transfer]
        except KeyError:
            raise BadTransfer(
                tr("Pixels arrived for transfer {number}, which was not announced.", number=transfer)
            ) from None

    def _advance_upload(self, answer: UploadReady | Uploaded | UploadRefused) -> None:
        waiting = self._uploads.get(answer.transfer)
        if waiting is None:
            return
        if isinstance(answer, UploadReady):
            for chunk in split(answer.transfer, memoryview(waiting.pictures[0].data)[answer.received :]):
                self._outbox.put(chunk)
            return
        del self._uploads[answer.transfer]
        if isinstance(answer, Uploaded):
            self.submit(waiting.submit, waiting.pictures[1:])
        else:
            self._deliver(Failed.of(answer, job=waiting.submit.job, seq=0))
