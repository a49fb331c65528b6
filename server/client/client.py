"""A small synchronous client with one connection. `generate --server` and the tests use it.

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
from importlib import metadata
from typing import TypeVar

import msgpack
from websockets.sync.client import ClientConnection, connect

from layerfusion.server.client import closing
from layerfusion.server.client.arriving import Arriving, File, Layer
from layerfusion.server.protocol import MAJOR, MINOR, location
from layerfusion.server.protocol.errors import BadTransfer, ProtocolError, UnsupportedVersion
from layerfusion.server.protocol.frames import MAX_FRAME, Chunk, split
from layerfusion.server.protocol.messages import (
    Accepted,
    Ack,
    Cancel,
    Cancelled,
    Delete,
    Deleted,
    DeleteFailed,
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
from layerfusion.server.protocol.schema import newest
from layerfusion.server.protocol.wire import Wire

M = TypeVar("M", bound=Message)


class Refusal(ProtocolError):
    """The server refused a request. `code` is the code of its answer."""

    def __init__(self, answer: Refused | UploadRefused | Failed | FetchFailed | DeleteFailed) -> None:
        super().__init__(answer.message, answer.hint)
        self.code = answer.code


Item = Message | Layer | File
"""What the client receives: a message, or a complete layer or file."""

_ANSWERS = (Accepted, FetchFailed, File, Deleted, DeleteFailed)
"""Messages that have a `job` but are not among its events."""


def new_job() -> str:
    """A new job id."""
    return str(uuid.uuid4())


class Client:
    """One connection to a server.

    Args:
        socket: the websocket, after the upgrade. It is closed if the greeting fails.
        timeout: longest wait for a message, in seconds; None waits as long as the connection lasts.

    Attributes:
        welcome: the server's models and limits.

    Raises:
        Refusal: the server has another version of the protocol.
    """

    def __init__(self, socket: ClientConnection, *, timeout: float | None = 60) -> None:
        self._socket = socket
        self._timeout = timeout
        self._wire = Wire(msgpack.packb, msgpack.unpackb)
        self._waiting: deque[Item] = deque()
        self._arrivals: dict[int, Arriving] = {}
        self._begun: dict[tuple[str, int], bytes] = {}
        self._uploads = 0
        try:
            self._send(Hello(protocol=(MAJOR, MINOR), client="layerfusion", version=metadata.version("layerfusion")))
            self.welcome = self._wait_for(Welcome)
        except BaseException:
            closing.close(socket)
            raise

    @staticmethod
    def connect(runtime: location.Runtime | None = None, *, timeout: float | None = 60) -> Client:
        """Connect to `runtime`, or to this user's running server.

        Raises:
            ConnectionRefusedError: no server is running.
            OSError, websockets.exceptions.InvalidHandshake: the connection failed.
        """
        runtime = runtime or location.read()
        if runtime is None:
            raise ConnectionRefusedError("No server is running. Start one with “layerfusion serve”.")
        return Client.open(runtime.url, runtime.token, runtime.tls(), timeout=timeout)

    @staticmethod
    def open(url: str, token: str, tls: ssl.SSLContext | None = None, *, timeout: float | None = 60) -> Client:
        """Connect to a server by its address.

        Args:
            url: ws://HOST:PORT/, or wss://HOST:PORT/ for TLS.
            token: the server's token.
            tls: the TLS context; None trusts the system's certificates.
            timeout: see `Client`.

        Raises:
            OSError, websockets.exceptions.InvalidHandshake: the connection failed.
            Refusal: the server has another version of the protocol.
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
        """Close the connection. Jobs continue."""
        closing.close(self._socket)

    def upload(self, pixels: bytes) -> str:
        """Upload a layer's BGRA pixels and return the id by which a submission refers to them.

        What the server has kept of an upload whose connection was lost is not sent again.

        Raises:
            Refusal: the server did not accept them.
        """
        layer = hashlib.sha256(pixels).hexdigest()
        transfer, self._uploads = self._uploads, self._uploads + 1
        self._send(Upload(transfer=transfer, layer=layer, bytes=len(pixels), resumes=True))
        answer = self._wait_for(UploadReady, Uploaded)
        if isinstance(answer, UploadReady):
            for chunk in split(transfer, memoryview(pixels)[answer.received :]):
                self._send(chunk)
            self._wait_for(Uploaded)
        return layer

    def submit(self, submit: Submit) -> Accepted:
        """Queue a job.

        Raises:
            UnsupportedVersion: the server is too old for some of the fields and would ignore them.
            Refusal: the server did not accept the job.
        """
        self._check_version(submit.minor, "this picture")
        self._send(submit)
        return self._wait_for(Accepted, job=submit.job)

    def resume(self, job: str, *, after: int = 0, begun: bytes = b"") -> Accepted:
        """Receive the job's events from number `after` + 1 on.

        Args:
            job: the job.
            after: number of the last event that was received completely.
            begun: bytes of the next event's layer that an earlier connection has received (`unfinished`), which a
                server of this version does not send again.

        Raises:
            Refusal: the server does not know the job.
        """
        if self.welcome.protocol < (MAJOR, 4):
            begun = b""
        self._begun[job, after + 1] = begun
        self._send(Resume(job=job, after=after, received=len(begun)))
        return self._wait_for(Accepted, job=job)

    def unfinished(self, job: str, seq: int) -> bytes:
        """The bytes so far of a layer that was not received completely."""
        for arriving in self._arrivals.values():
            begin = arriving.begin
            if isinstance(begin, LayerBegin) and (begin.job, begin.seq) == (job, seq):
                return arriving.received()
        return b""

    def resubmit(self, job: str, *, of: str) -> Accepted:
        """Draw the picture of the job `of` again, as the new job `job`.

        Raises:
            Refusal: the server does not know the job `of`, or did not accept the new job.
        """
        self._send(Resubmit(job=job, of=of))
        return self._wait_for(Accepted, job=job)

    def cancel(self, job: str) -> None:
        """Request that a job is stopped. `events` yields `Cancelled` when it was."""
        self._send(Cancel(job=job))

    def acknowledge(self, job: str, seq: int) -> None:
        """Tell the server that the job's events up to `seq` were received and saved."""
        self._send(Ack(job=job, seq=seq))

    def jobs(self, *, newest: int = 100) -> tuple[JobSummary, ...]:
        """The newest jobs of the server, newest first."""
        self._send(ListJobs(newest=newest))
        return self._wait_for(JobList).jobs

    def delete(self, job: str) -> None:
        """Delete a job that is over, with its prompts, layers and files. An unknown job counts as deleted.

        Raises:
            UnsupportedVersion: the server is too old.
            Refusal: the job is not over, or the disk cannot be written.
        """
        self._check_version(4, "the deletion of jobs")
        self._send(Delete(job=job))
        answer = self._next(lambda item: isinstance(item, (Deleted, DeleteFailed)) and item.job == job)
        if isinstance(answer, DeleteFailed):
            raise Refusal(answer)

    def fetch(self, job: str, index: int) -> Layer:
        """Get a finished layer again.

        Raises:
            Refusal: there is no such layer, or it is no longer on the server.
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

    def export(self, job: str, form: ExportFormat, *, prompts: bool = True) -> bytes:
        """Export a finished job and return the file's bytes.

        Raises:
            Refusal: the job is not finished, or a layer is no longer on the server.
            UnsupportedVersion: the server cannot leave the prompts out.
        """
        request = Export(job=job, format=form, prompts=prompts)
        if not prompts:
            self._check_version(newest(request), "a file without prompts")
        self._send(request)
        answer = self._next(
            lambda item: (
                (isinstance(item, File) and (item.begin.job, item.begin.format) == (job, form))
                or (isinstance(item, FetchFailed) and (item.job, item.format) == (job, form))
            )
        )
        if isinstance(answer, FetchFailed):
            raise Refusal(answer)
        assert isinstance(answer, File)
        return bytes(answer.data)

    def events(self, job: str) -> Iterator[Message | Layer]:
        """Yield the job's events and notes, up to its last event: `Done`, `Failed` or `Cancelled`."""
        while True:
            event = self._next(lambda item: getattr(item, "job", None) == job and not isinstance(item, _ANSWERS))
            assert not isinstance(event, File)
            yield event
            if isinstance(event, (Done, Failed, Cancelled)):
                return

    def _check_version(self, needed: int, what: str) -> None:
        major, minor = self.welcome.protocol
        if (major, minor) < (MAJOR, needed):
            raise UnsupportedVersion(
                f"The server uses protocol {major}.{minor}, and {what} needs {MAJOR}.{needed}.",
                "Update the server.",
            )

    def _send(self, item: Message | Chunk) -> None:
        self._socket.send(self._wire.encode(item))

    def _wait_for(self, *kinds: type[M], job: str | None = None) -> M:
        """Wait for a message of one of `kinds`, about `job` if one is given. Other messages are kept for later.

        Raises:
            Refusal: the server refused the request instead.
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
        """The first wanted item among those that were kept, or else among those that arrive."""
        for item in self._waiting:
            if wanted(item):
                self._waiting.remove(item)
                return item
        while not wanted(item := self._receive()):
            self._waiting.append(item)
        return item

    def _receive(self) -> Item:
        """Wait for one message, or for one complete layer or file.

        Raises:
            Refusal: the server ended the connection.
            TimeoutError: no message arrived in time.
            BadTransfer: a layer or file is incomplete or has another SHA-256.
        """
        while True:
            item = self._wire.decode(self._socket.recv(self._timeout))
            match item:
                case LayerBegin() | FileBegin():
                    self._arrivals[item.transfer] = Arriving(item, self._before(item))
                case Chunk() if item.transfer in self._arrivals:
                    self._arrivals[item.transfer].add(item)
                case LayerEnd() | FileEnd() if item.transfer in self._arrivals:
                    return self._arrivals.pop(item.transfer).finished()
                case Refused():
                    raise Refusal(item)
                case Message():
                    return item

    def _before(self, begin: LayerBegin | FileBegin) -> bytes:
        """The bytes of a layer that the server does not send again.

        Raises:
            BadTransfer: they are not here.
        """
        if not isinstance(begin, LayerBegin) or begin.skipped == 0:
            return b""
        begun = self._begun.pop((begin.job, begin.seq), b"")
        if len(begun) < begin.skipped:
            raise BadTransfer(f"The server left out {begin.skipped} bytes of a layer that never arrived.")
        return begun[: begin.skipped]
