"""A small client: one connection, one thread, no surprises. Tests use it; read it beside PROTOCOL.md.

with Client.connect() as client:
    job = new_job()
    client.submit(Submit(job=job, width=512, height=512, ...))
    for event in client.events(job):  # Started, Progress, Preview, Layer, …; the last is Done, Failed or Cancelled
        ...
"""

from __future__ import annotations

import hashlib
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TypeVar

import msgpack
from websockets.sync.client import ClientConnection, connect

from server.protocol import MAJOR, MINOR, location
from server.protocol.errors import ProtocolError
from server.protocol.frames import MAX_FRAME, Arrival, Chunk, split
from server.protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Hello,
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
from server.protocol.wire import Wire

M = TypeVar("M", bound=Message)


class Refusal(ProtocolError):
    """The server said no. `code` is its code."""

    def __init__(self, answer: Refused | UploadRefused | Failed) -> None:
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


def new_job() -> str:
    """A fresh job id."""
    return str(uuid.uuid4())


class Client:
    """One connection to a server.

    Args:
        socket: after the upgrade.
        timeout: longest wait for a message, in seconds.

    Attributes:
        welcome: what the server can do.

    Raises:
        Refusal: the server speaks another version.
    """

    def __init__(self, socket: ClientConnection, *, timeout: float = 60) -> None:
        self._socket = socket
        self._timeout = timeout
        self._wire = Wire(msgpack.packb, msgpack.unpackb)
        self._waiting: deque[Message | Layer] = deque()
        self._layer: tuple[LayerBegin, Arrival, bytearray] | None = None
        self._uploads = 0
        self._send(Hello(protocol=(MAJOR, MINOR), client="layerfusion", version=metadata.version("layerfusion")))
        self.welcome = self._wait_for(Welcome)

    @staticmethod
    def connect(runtime: location.Runtime | None = None, *, timeout: float = 60) -> Client:
        """Connect to `runtime`, or to this user's running server.

        Raises:
            ConnectionRefusedError: none is running.
            OSError, websockets.exceptions.InvalidHandshake: no connection.
        """
        runtime = runtime or location.read()
        if runtime is None:
            raise ConnectionRefusedError("No server is running. Start one with “layerfusion serve”.")
        socket = connect(
            runtime.url,
            additional_headers={"Authorization": f"Bearer {runtime.token}"},
            compression=None,
            proxy=None,
            ssl=runtime.tls(),
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
            Refusal: the server does not draw it.
        """
        self._send(submit)
        return self._wait_for(Accepted, job=submit.job)

    def resume(self, job: str, *, after: int = 0) -> Accepted:
        """Have the job's events sent from `after` + 1 on.

        Raises:
            Refusal: the server does not know the job.
        """
        self._send(Resume(job=job, after=after))
        return self._wait_for(Accepted, job=job)

    def cancel(self, job: str) -> None:
        """Ask for the job to be stopped; `events` says when it is."""
        self._send(Cancel(job=job))

    def events(self, job: str) -> Iterator[Message | Layer]:
        """What happens to the job, until `Done`, `Failed` or `Cancelled`, which is the last."""
        while True:
            event = self._next(lambda item: getattr(item, "job", None) == job and not isinstance(item, Accepted))
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

    def _next(self, wanted: Callable[[Message | Layer], bool]) -> Message | Layer:
        """The first wanted item, of those that came before or of those to come."""
        for item in self._waiting:
            if wanted(item):
                self._waiting.remove(item)
                return item
        while not wanted(item := self._receive()):
            self._waiting.append(item)
        return item

    def _receive(self) -> Message | Layer:
        """Wait for one message, or for one layer with all its chunks.

        Raises:
            Refusal: the server ends the connection.
            TimeoutError: nothing came.
            BadTransfer: a layer came broken.
        """
        while True:
            frame = self._socket.recv(self._timeout)
            item = self._wire.decode(frame)
            if isinstance(item, LayerBegin):
                self._layer = item, Arrival(item.bytes, item.sha256), bytearray()
            elif self._layer is not None and isinstance(item, (Chunk, LayerEnd)):
                begin, arrival, pixels = self._layer
                if isinstance(item, LayerEnd):
                    arrival.finish()
                    self._layer = None
                    return Layer(begin, bytes(pixels))
                arrival.add(item)
                pixels += item.data
            elif isinstance(item, Refused):
                raise Refusal(item)
            elif isinstance(item, Message):
                return item
