"""One client's conversation, without any input or output of its own.

`receive` takes a frame and returns what is to be done about it, in order:

    Send(message)       tell the client
    Close(code)         end the connection, after what is to be sent
    Upload, or a `Request`
                        carry this out; it is a valid message and it is its time
    Keep(upload, data)  the next bytes of the upload
    Commit(upload)      all bytes are there and are those that were announced
    Drop()              the upload failed; throw away what was kept

The caller opens files, knows jobs and owns the socket.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace

import msgpack

from layerfusion.server.net.rate_limits import TokenBucket
from layerfusion.server.protocol import MAJOR, MINOR
from layerfusion.server.protocol.errors import (
    BadFrame,
    BadTransfer,
    InvalidMessage,
    ProtocolError,
    TooFast,
    TooLarge,
    UnexpectedMessage,
    UnsupportedVersion,
)
from layerfusion.server.protocol.frames import Arrival, Chunk
from layerfusion.server.protocol.messages import (
    Ack,
    Cancel,
    Export,
    Failed,
    Fetch,
    Hello,
    ListJobs,
    Message,
    Progress,
    Refused,
    Resubmit,
    Resume,
    Submit,
    Upload,
    UploadRefused,
    Welcome,
    from_map,
)
from layerfusion.server.protocol.wire import Wire

logger = logging.getLogger(__name__)

CLOSE_TEXT_FRAME = 1003
CLOSE_REFUSED = 1008

MAX_MESSAGE = 512 * 1024
"""Longest message of a client, chunks aside: several times that of the longest job there is."""

SMALL_CHUNK = 16 * 1024
"""Bytes. Shorter chunks count as messages: each costs as much."""

_STAGE_CODES = 3
"""The minor version since which `Progress.stage` is a code."""

_unpackb = functools.partial(msgpack.unpackb, max_map_len=256, max_array_len=1024, max_ext_len=0)
"""A few bytes can announce a million keys; no message of ours, or of a later version, has that many."""


@dataclass(frozen=True)
class Send:
    message: Message


@dataclass(frozen=True)
class Close:
    code: int


@dataclass(frozen=True)
class Keep:
    upload: Upload
    data: bytes | memoryview


@dataclass(frozen=True)
class Commit:
    upload: Upload


@dataclass(frozen=True)
class Drop:
    pass


Request = Submit | Resubmit | Cancel | Resume | Ack | ListJobs | Fetch | Export
"""What a client asks about jobs. Whether there is such a job, the caller knows."""

Effect = Send | Close | Request | Upload | Keep | Commit | Drop


class Session:
    """The server's side of one connection.

    Args:
        welcome: the answer to `Hello`.
        messages: how many the client may send; None for any number.

    Attributes:
        identity: who the client says it is, None if it does not.
    """

    def __init__(self, welcome: Welcome, messages: TokenBucket | None = None) -> None:
        self._welcome = welcome
        self._messages = messages
        self._wire = Wire(msgpack.packb, _unpackb)
        self.identity: str | None = None
        self._greeted = False
        self._minor = MINOR
        self._upload: Upload | None = None
        self._arrival = Arrival(0, "")

    def receive(self, frame: bytes | str) -> list[Effect]:
        """Take one websocket message and say what is to be done. Nothing a client sends makes this raise."""
        try:
            if isinstance(frame, str):
                raise BadFrame("A text frame.", "All messages are binary.")
            self._count(frame)
            if Chunk.begins(frame):
                return self._receive_chunk(Chunk.from_bytes(frame))
            return self._receive_map(self._wire.unpack(frame))
        except ProtocolError as error:
            logger.info("refused a client: %s", error.code)  # the message may quote a prompt
            return [Send(Refused.of(error)), Close(CLOSE_TEXT_FRAME if isinstance(frame, str) else CLOSE_REFUSED)]

    def adapted(self, item: Message | Chunk) -> Message | Chunk:
        """What this client is sent in the place of `item`: one older than 1.3 shows the stage as it is to people."""
        if isinstance(item, Progress) and self._minor < _STAGE_CODES:
            return replace(item, stage=item.text[:255] or item.stage)
        return item

    def end_upload(self) -> None:
        """There is no upload any more: the layer was there already, or could not be written."""
        self._upload = None

    def _count(self, frame: bytes) -> None:
        """Count a frame as a message, unless it is a chunk worth its trouble: those are counted by the byte."""
        if len(frame) >= SMALL_CHUNK and Chunk.begins(frame):
            return
        if len(frame) > MAX_MESSAGE:
            raise TooLarge(f"A message of {len(frame)} bytes; at most {MAX_MESSAGE} are taken.", "Shorten the prompts.")
        if self._messages is not None and not self._messages.take(1):
            raise TooFast("Too many messages in a short time.", "Connect again and send fewer.")

    def _receive_map(self, values: dict[object, object]) -> list[Effect]:
        if not self._greeted:
            return self._greet(values)
        try:
            message = from_map(values)
        except InvalidMessage as error:
            return [Send(_submit_failed(values, error))]
        if message is None:
            return []
        if isinstance(message, Upload):
            return self._begin_upload(message)
        if isinstance(message, Request):
            return [message]
        raise UnexpectedMessage(f"The message “{message.type}” after the greeting.", "See PROTOCOL.md.")

    def _greet(self, values: dict[object, object]) -> list[Effect]:
        if values["type"] != Hello.type:
            raise UnexpectedMessage("The first message is no “hello”.", "Greet first.")
        match values.get("protocol"):
            case [int(major), int(minor)] if major != MAJOR:
                older = "client" if major < MAJOR else "server"
                raise UnsupportedVersion(
                    f"The client speaks protocol {major}.{minor}, this server {MAJOR}.{MINOR}.", f"Update the {older}."
                )
        hello = from_map(values)
        assert isinstance(hello, Hello)
        logger.info("hello from %r %r", hello.client, hello.version)
        self._greeted, self.identity, self._minor = True, hello.identity, hello.protocol[1]
        return [Send(self._welcome)]

    def _begin_upload(self, upload: Upload) -> list[Effect]:
        limit = self._welcome.limits.layer_bytes
        if self._upload is not None:
            return [_upload_refused(upload, UnexpectedMessage("An upload is under way.", "One at a time."))]
        if upload.bytes > limit:
            return [
                _upload_refused(
                    upload,
                    TooLarge(f"A layer of {upload.bytes} bytes; at most {limit} are taken.", "Crop it to the canvas."),
                )
            ]
        self._upload, self._arrival = upload, Arrival(upload.bytes, upload.layer)
        return [upload]

    def _receive_chunk(self, chunk: Chunk) -> list[Effect]:
        if not self._greeted:
            raise UnexpectedMessage("The first message is no “hello”.", "Greet first.")
        upload = self._upload
        if upload is None or chunk.transfer != upload.transfer:
            logger.debug("ignored a chunk of the transfer %d", chunk.transfer)
            return []
        try:
            self._arrival.add(chunk)
            if not self._arrival.complete:
                return [Keep(upload, chunk.data)]
            self._arrival.finish()
        except BadTransfer as error:
            self._upload = None
            return [Drop(), _upload_refused(upload, error)]
        self._upload = None
        return [Keep(upload, chunk.data), Commit(upload)]


def _submit_failed(values: dict[object, object], error: InvalidMessage) -> Failed:
    """The answer to an invalid `Submit` whose job can be read; other invalid messages are the caller's to refuse."""
    if values["type"] not in (Submit.type, Resubmit.type):
        raise error
    try:
        job = Cancel(job=values.get("job")).job  # type: ignore[arg-type] - checked when it is made
    except InvalidMessage:
        raise error from None
    return Failed.of(error, job=job, seq=0)


def _upload_refused(upload: Upload, error: ProtocolError) -> Send:
    return Send(UploadRefused.of(error, transfer=upload.transfer))
