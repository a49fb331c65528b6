"""A small client: one connection, one thread, no surprises. `generate --server` and the tests use it.

with Client.connect() as client:
    job = new_job()
    client.submit(Submit(job=job, width=512, height=512, ...))
    for event in client.events(job):  # Started, Progress, Preview, Layer, …; the last is Done, Failed or Cancelled
        ...
"""

from __future__ import annotations

import hashlib
import ssl
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TypeVar

import msgpack
from websockets.sync.client import ClientConnection, connect

from layerfusion.server.protocol import MAJOR, MINOR, location
from layerfusion.server.protocol.errors import ProtocolError, UnsupportedVersion
from layerfusion.server.protocol.frames import MAX_FRAME, Arrival, Chunk, split
from layerfusion.server.protocol.messages import (
    Accepted,
    Ack,
    Cancel,
    Cancelled,
    Done,
    Export,
    ExportFormat,
    Failed,
    Fetch,
    FetchFailed,
    FileBegin,
    FileEnd,
    Hello,
    JobList,
    JobSummary,
    LayerBegin,
    LayerEnd,
    ListJobs,
    Message,
    Refused,
    Resubmit,
    Resume,
    Submit,
    Upload,
    Uploaded,
    UploadReady,
    UploadRefused,
    Welcome,
)
from layerfusion.server.protocol.wire import Wire

M = TypeVar("M", bound=Message)


class Refusal(ProtocolError):
    """The server said no. `code` is its code."""

    def __init__(self, answer: Refused | UploadRefused | Failed | FetchFailed) -> None:
        super().__init__(answer.message, answer.hint)
        self.code = answer.code


@dataclass(frozen=True)
class Layer:
    """A finished layer: what `begin` says of it, and its BGRA pixels, which have been checked."""

    begin: LayerBegin
    pixels: bytes

    @property
    def job(self) -> str:
        return self.begin.job


@dataclass(frozen=True)
class File:
    """A job as a file: what `begin` says of it, and its bytes, which have been checked."""

    begin: FileBegin
    data: bytes


Item = Message | Layer | File
"""What comes from a server: a message, or a layer or file with all its chunks."""

_ANSWERS = (Accepted, FetchFailed, File)
"""What names a job and is no event of it."""


def new_job() -> str:
    """A fresh job id."""
    return str(uuid.uuid4())


class Client:
    """One connection to a server.

    Args:
        socket: after the upgrade.
        timeout: longest wait for a message, in seconds; None waits as long as the connection lasts.

    Attributes:
        welcome: what the server can do.

    Raises:
        Refusal: the server speaks another version.
    """

    def __init__(self, socket: ClientConnection, *, timeout: float | None = 60) -> None:
        self._socket = socket
        self._timeout = timeout
        self._wire = Wire(msgpack.packb, msgpack.unpackb)
        self._waiting: deque[Item] = deque()
        self._arrivals: dict[int, tuple[LayerBegin | FileBegin, Arrival, bytearray]] = {}
        self._uploads = 0
        self._send(Hello(protocol=(MAJOR, MINOR), client="layerfusion", version=metadata.version("layerfusion")))
        self.welcome = self._wait_for(Welcome)

    @staticmethod
    def connect(runtime: location.Runtime | None = None, *, timeout: float | None = 60) -> Client:
        """Connect to `runtime`, or to this user's running server.

        Raises:
            ConnectionRefusedError: none is running.
            OSError, websockets.exceptions.InvalidHandshake: no connection.
        """
        runtime = runtime or location.read()
        if runtime is None:
            raise ConnectionRefusedError("No server is running. Start one with “layerfusion serve”.")
        return Client.open(runtime.url, runtime.token, runtime.tls(), timeout=timeout)

    @staticmethod
    def open(url: str, token: str, tls: ssl.SSLContext | None = None, *, timeout: float | None = 60) -> Client:
        """Connect to a server anywhere.

        Args:
            url: ws://HOST:PORT/, or wss://… if it speaks TLS.
            token: the server's.
            tls: whom to trust; None trusts whom the system does.
            timeout: see `Client`.

        Raises:
            OSError, websockets.exceptions.InvalidHandshake: no connection.
            Refusal: the server speaks another version.
        """
        socket = connect(
            url,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            ssl=tls,
            max_size=MAX_FRAME,
        )
        return Client(socket, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Go. Jobs go on without."""
        self._socket.close()

    def upload(self, pixels: bytes) -> str:
        """Send a layer's BGRA pixels and return the id under which a job may keep it.

        Raises:
            Refusal: the server did not take it.
        """
        layer = hashlib.sha256(pixels).hexdigest()
        transfer, self._uploads = self._uploads, self._uploads + 1
        self._send(Upload(transfer=transfer, layer=layer, bytes=len(pixels)))
        if isinstance(self._wait_for(UploadReady, Uploaded), UploadReady):
            for chunk in split(transfer, pixels):
                self._send(chunk)
            self._wait_for(Uploaded)
        return layer

    def submit(self, submit: Submit) -> Accepted:
        """Queue a job.

        Raises:
            UnsupportedVersion: the server is too old to know all that is asked for, and would leave it out.
            Refusal: the server does not draw it.
        """
        if self.welcome.protocol < (MAJOR, submit.minor):
            major, minor = self.welcome.protocol
            raise UnsupportedVersion(
                f"The server speaks protocol {major}.{minor}, and this picture needs {MAJOR}.{submit.minor}.",
                "Update the server.",
            )
        self._send(submit)
        return self._wait_for(Accepted, job=submit.job)

    def resume(self, job: str, *, after: int = 0) -> Accepted:
        """Have the job's events sent from `after` + 1 on.

        Raises:
            Refusal: the server does not know the job.
        """
        self._send(Resume(job=job, after=after))
        return self._wait_for(Accepted, job=job)

    def resubmit(self, job: str, *, of: str) -> Accepted:
        """Have the picture of the job `of` drawn again, as the new job `job`.

        Raises:
            Refusal: the server does not know it, or does not draw it again.
        """
        self._send(Resubmit(job=job, of=of))
        return self._wait_for(Accepted, job=job)

    def cancel(self, job: str) -> None:
        """Ask for the job to be stopped; `events` says when it is."""
        self._send(Cancel(job=job))

    def acknowledge(self, job: str, seq: int) -> None:
        """Say that the job's events up to `seq` are in a safe place here."""
        self._send(Ack(job=job, seq=seq))

    def jobs(self, *, newest: int = 100) -> tuple[JobSummary, ...]:
        """The last jobs of the server, newest first."""
        self._send(ListJobs(newest=newest))
        return self._wait_for(JobList).jobs

    def fetch(self, job: str, index: int) -> Layer:
        """A finished layer again.

        Raises:
            Refusal: there is no such layer, or it is gone.
        """
        self._send(Fetch(job=job, index=index))
        answer = self._next(
            lambda item: (
                (isinstance(item, Layer) and (item.job, item.begin.index) == (job, index))
                or (isinstance(item, FetchFailed) and (item.job, item.index) == (job, index))
            )
        )
        if isinstance(answer, FetchFailed):
            raise Refusal(answer)
        assert isinstance(answer, Layer)
        return answer

    def export(self, job: str, form: ExportFormat) -> bytes:
        """A finished job as a file.

        Raises:
            Refusal: it is not finished, or a layer is gone.
        """
        self._send(Export(job=job, format=form))
        answer = self._next(
            lambda item: (
                (isinstance(item, File) and (item.begin.job, item.begin.format) == (job, form))
                or (isinstance(item, FetchFailed) and (item.job, item.format) == (job, form))
            )
        )
        if isinstance(answer, FetchFailed):
            raise Refusal(answer)
        assert isinstance(answer, File)
        return answer.data

    def events(self, job: str) -> Iterator[Message | Layer]:
        """What happens to the job, until `Done`, `Failed` or `Cancelled`, which is the last."""
        while True:
            event = self._next(lambda item: getattr(item, "job", None) == job and not isinstance(item, _ANSWERS))
            assert not isinstance(event, File)
            yield event
            if isinstance(event, (Done, Failed, Cancelled)):
                return

    def _send(self, item: Message | Chunk) -> None:
        self._socket.send(self._wire.encode(item))

    def _wait_for(self, *kinds: type[M], job: str | None = None) -> M:
        """The next message of one of `kinds`, about `job` if one is given. What else comes is kept for later.

        Raises:
            Refusal: a message comes instead that says no.
        """
        answer = self._next(
            lambda item: (
                isinstance(item, UploadRefused)
                or (isinstance(item, (*kinds, Failed)) and job == getattr(item, "job", None))
            )
        )
        if isinstance(answer, (UploadRefused, Failed)):
            raise Refusal(answer)
        assert isinstance(answer, kinds)
        return answer

    def _next(self, wanted: Callable[[Item], bool]) -> Item:
        """The first wanted item, of those that came before or of those to come."""
        for item in self._waiting:
            if wanted(item):
                self._waiting.remove(item)
                return item
        while not wanted(item := self._receive()):
            self._waiting.append(item)
        return item

    def _receive(self) -> Item:
        """Wait for one message, or for one layer or file with all its chunks.

        Raises:
            Refusal: the server ends the connection.
            TimeoutError: nothing came.
            BadTransfer: a layer or file came broken.
        """
        while True:
            item = self._wire.decode(self._socket.recv(self._timeout))
            match item:
                case LayerBegin() | FileBegin():
                    self._arrivals[item.transfer] = item, Arrival(item.bytes, item.sha256), bytearray()
                case Chunk() if item.transfer in self._arrivals:
                    _, arrival, data = self._arrivals[item.transfer]
                    arrival.add(item)
                    data += item.data
                case LayerEnd() | FileEnd() if item.transfer in self._arrivals:
                    return self._arrived(item.transfer)
                case Refused():
                    raise Refusal(item)
                case Message():
                    return item

    def _arrived(self, transfer: int) -> Layer | File:
        begin, arrival, data = self._arrivals.pop(transfer)
        arrival.finish()
        return Layer(begin, bytes(data)) if isinstance(begin, LayerBegin) else File(begin, bytes(data))
