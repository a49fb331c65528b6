"""One client's session as a state machine, without any input or output.

`receive` takes a websocket message and returns the effects that the caller must perform, in order:

    Send(message)       send a message to the client
    Close(code)         close the connection after sending all messages
    Upload, or a `Request`
                        perform this valid message, which is allowed in the current state
    Keep(upload, data)  write the next bytes of the upload
    Commit(upload)      finish the upload, which is complete and has the announced SHA-256
    Drop()              delete what was written, because the upload failed

The caller has the socket, the files and the jobs.
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
    Delete,
    DeleteStyle,
    Export,
    Failed,
    Fetch,
    FetchPixels,
    FetchSubmission,
    FetchThumbnail,
    Hello,
    ListJobs,
    ListStyles,
    Message,
    Move,
    Progress,
    ReadFile,
    Refused,
    Rename,
    Resubmit,
    Resume,
    SaveStyle,
    ScaleLayer,
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
"""Longest message of a client except for chunks, in bytes. The longest valid submission is several times shorter."""

SMALL_CHUNK = 16 * 1024
"""Chunks shorter than this many bytes count as messages in the rate limit, because they cost as much."""

_STAGE_CODES = 3
"""The minor version of the protocol in which `Progress.stage` became a code."""

_unpackb = functools.partial(msgpack.unpackb, max_map_len=256, max_array_len=1024, max_ext_len=0)
"""With limits, because a few bytes of msgpack can announce a million keys. No message needs that many."""


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


JobRequest = (
    Submit
    | Resubmit
    | Cancel
    | Move
    | Resume
    | Ack
    | ListJobs
    | Fetch
    | FetchThumbnail
    | FetchSubmission
    | Export
    | Delete
    | Rename
)
"""A client's request about jobs. The caller finds out whether the job exists."""

StyleRequest = ListStyles | SaveStyle | DeleteStyle
"""A client's request about the styles of its user."""

EditingRequest = ReadFile | ScaleLayer | FetchPixels
"""A client's request about layers and files. The caller finds out whether they are there."""

Request = JobRequest | StyleRequest | EditingRequest

Effect = Send | Close | Request | Upload | Keep | Commit | Drop


class Session:
    """The server's side of one connection.

    Args:
        welcome: the answer to `Hello`.
        messages: the rate limit of the client's messages; None is no limit.

    Attributes:
        identity: `Hello.identity`; None if the client sent none.
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
        """Process one websocket message and return its effects. Nothing that a client sends makes this raise."""
        try:
            if isinstance(frame, str):
                raise BadFrame("The websocket message is text.", "Send binary messages only.")
            self._count(frame)
            if Chunk.begins(frame):
                return self._receive_chunk(Chunk.from_bytes(frame))
            return self._receive_map(self._wire.unpack(frame))
        except ProtocolError as error:
            logger.info("refused a client: %s", error.code)  # the message may quote a prompt
            return [Send(Refused.of(error)), Close(CLOSE_TEXT_FRAME if isinstance(frame, str) else CLOSE_REFUSED)]

    def adapted(self, item: Message | Chunk) -> Message | Chunk:
        """The item in the form that this client understands: clients older than 1.3 show `stage` to people."""
        if isinstance(item, Progress) and self._minor < _STAGE_CODES:
            return replace(item, stage=item.text[:255] or item.stage)
        return item

    @property
    def arriving(self) -> tuple[Upload, Arrival] | None:
        """The upload under way, and what has arrived of it."""
        return None if self._upload is None else (self._upload, self._arrival)

    def go_on(self, arrival: Arrival) -> None:
        """Expect only the rest of the upload that was just begun."""
        arrival.go_on()
        self._arrival = arrival

    def end_upload(self) -> None:
        """End the upload, because the layer is in the store already or could not be written."""
        self._upload = None

    def _count(self, frame: bytes) -> None:
        """Count a frame in the rate limit of messages, unless it is a large chunk; uploads are limited in bytes."""
        if len(frame) >= SMALL_CHUNK and Chunk.begins(frame):
            return
        if len(frame) > MAX_MESSAGE:
            raise TooLarge(
                f"The message has {len(frame)} bytes; at most {MAX_MESSAGE} are accepted.", "Shorten the prompts."
            )
        if self._messages is not None and not self._messages.take(1):
            raise TooFast("The client sent too many messages in a short time.", "Connect again and send fewer.")

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
        raise UnexpectedMessage(
            f"The message “{message.type}” is not allowed after the greeting.", "See PROTOCOL.md for the order."
        )

    def _greet(self, values: dict[object, object]) -> list[Effect]:
        if values["type"] != Hello.type:
            raise _not_greeted()
        match values.get("protocol"):
            case [int(major), int(minor)] if major != MAJOR:
                older = "client" if major < MAJOR else "server"
                raise UnsupportedVersion(
                    f"The client uses protocol {major}.{minor}, and this server uses {MAJOR}.{MINOR}.",
                    f"Update the {older}.",
                )
        hello = from_map(values)
        assert isinstance(hello, Hello)
        logger.info("hello from %r %r", hello.client, hello.version)
        self._greeted, self.identity, self._minor = True, hello.identity, hello.protocol[1]
        return [Send(self._welcome)]

    def _begin_upload(self, upload: Upload) -> list[Effect]:
        limits = self._welcome.limits
        what, limit = ("file", limits.file_bytes) if upload.file else ("layer", limits.layer_bytes)
        if self._upload is not None:
            return [
                _upload_refused(
                    upload, UnexpectedMessage("Another upload is under way.", "Send the next one after its end.")
                )
            ]
        if upload.bytes > limit:
            return [
                _upload_refused(
                    upload,
                    TooLarge(
                        f"The {what} has {upload.bytes} bytes; at most {limit} are accepted.",
                        "Merge some of its layers." if upload.file else "Crop it to the canvas.",
                    ),
                )
            ]
        self._upload, self._arrival = upload, Arrival(upload.bytes, upload.layer)
        return [upload]

    def _receive_chunk(self, chunk: Chunk) -> list[Effect]:
        if not self._greeted:
            raise _not_greeted()
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


def _not_greeted() -> UnexpectedMessage:
    return UnexpectedMessage("The first message is not “hello”.", "Send “hello” first.")


def _submit_failed(values: dict[object, object], error: InvalidMessage) -> Failed:
    """The answer to an invalid `Submit` or `Resubmit` with a valid job id. Raises `error` for any other message."""
    if values["type"] not in (Submit.type, Resubmit.type):
        raise error
    try:
        job = Cancel(job=values.get("job")).job  # type: ignore[arg-type] - Cancel checks it
    except InvalidMessage:
        raise error from None
    return Failed.of(error, job=job, seq=0)


def _upload_refused(upload: Upload, error: ProtocolError) -> Send:
    return Send(UploadRefused.of(error, transfer=upload.transfer))
