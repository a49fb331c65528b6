"""Every message, in the order of a conversation. `PROTOCOL.md` says what each means and when it is sent.

A message is a frozen value: making one checks every field, so what exists can be sent and what arrived can be used.
`type` is its name on the wire. Sizes and places are in pixels, pixels are BGRA, 8 bits each, sRGB, straight alpha, rows
packed from the top, left to right.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from .errors import InvalidMessage
from .schema import Between, Length, Matches, Record

logger = logging.getLogger(__name__)

PREVIEW_SIDE = 256
"""Longest side of a preview, in pixels."""

Name = Annotated[str, Length(1, 255)]
Text = Annotated[str, Length(0, 4000)]
Prompt = Annotated[str, Length(0, 200_000)]
JobId = Annotated[str, Matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a UUID in lower case")]
LayerId = Annotated[str, Matches("[0-9a-f]{64}", "a SHA-256 in lower-case hexadecimal digits")]
Side = Annotated[int, Between(1, 65_535)]
Offset = Annotated[int, Between(-(2**31), 2**31 - 1)]
Count = Annotated[int, Between(0, 2**53 - 1)]
Seed = Annotated[int, Between(0, 2**53 - 1)]
TransferId = Annotated[int, Between(0, 2**32 - 1)]
Sequence = Annotated[int, Between(1, 2**53 - 1)]
Real = Annotated[float, Between(-1e9, 1e9)]
Fraction = Annotated[float, Between(0, 1)]
Seconds = Annotated[float, Between(0, 1e9)]
Version = tuple[Count, Count]
Role = Literal["background", "foreground", "shadow", "light", "blended"]
Blend = Literal["normal", "multiply", "add"]
Harmony = Literal["clean", "exact"]
PixelFormat = Literal["bgra8"]
Codec = Literal["raw"]


@dataclass(frozen=True)
class Message(Record):
    """One message. Subclasses set `type`."""

    type: ClassVar[str]

    def to_map(self) -> dict[str, Any]:
        return {"type": self.type, **super().to_map()}


# ---- greeting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """Client: who I am. The first message of every connection.

    Attributes:
        protocol: (major, minor) this client was written for.
        client: the program, for the server's log.
        version: its version.
    """

    type: ClassVar[str] = "hello"
    protocol: Version
    client: Name
    version: Name


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """Prompts that go together."""

    foreground: Prompt
    background: Prompt


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Record):
    """One model the server can draw with, and its own defaults.

    Attributes:
        name: what `Submit.model` takes.
        title: for people.
        steps, guidance_scale, guidance_rescale, sampler: what a job gets that leaves them unset.
        samplers: what `Submit.sampler` takes.
        examples: prompts this model draws well; may be empty.
        notice: a limitation the artist should know, empty if there is none; `Accepted` has it for the job's size.
    """

    name: Name
    title: Name
    steps: Count
    guidance_scale: Real
    guidance_rescale: Real
    sampler: Name
    samplers: tuple[Name, ...]
    examples: tuple[Example, ...]
    notice: Text


@dataclass(frozen=True, kw_only=True)
class Limits(Record):
    """What this server takes.

    Attributes:
        frame_bytes: longest websocket message, both ways.
        chunk_bytes: most pixels in one chunk, both ways.
        layer_bytes: largest layer that can be uploaded.
        min_side, max_side: the canvas, in pixels.
        max_aspect: longer side of the canvas over the shorter.
        prompt_characters: of one prompt.
        foregrounds: of one job.
        steps: of one job.
        waiting_jobs: of one connection.
    """

    frame_bytes: Count
    chunk_bytes: Count
    layer_bytes: Count
    min_side: Side
    max_side: Side
    max_aspect: Real
    prompt_characters: Count
    foregrounds: Count
    steps: Count
    waiting_jobs: Count


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """Server: the answer to `Hello`.

    Attributes:
        protocol: (major, minor) this server was written for.
        version: of the server.
        instance: another text after every start of the server; jobs do not outlive their instance.
        models: the first is the one to offer.
        limits: what this server takes.
        codecs: how pixels may be packed.
    """

    type: ClassVar[str] = "welcome"
    protocol: Version
    version: Name
    instance: Name
    models: tuple[ModelInfo, ...]
    limits: Limits
    codecs: tuple[Name, ...]


@dataclass(frozen=True, kw_only=True)
class Refused(Message):
    """Server: this connection ends here, and why. The websocket is closed next."""

    type: ClassVar[str] = "refused"
    code: Name
    message: Text
    hint: Text = ""


# ---- uploads ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Upload(Message):
    """Client: I have a layer for a job to come. Wait for `UploadReady`, then send its chunks.

    Attributes:
        transfer: this upload's number on this connection, chosen by the client; its chunks carry it.
        layer: SHA-256 of the pixels.
        bytes: how many there are: 4 x width x height.
        codec: how the chunks are packed.
    """

    type: ClassVar[str] = "upload"
    transfer: TransferId
    layer: LayerId
    bytes: Annotated[int, Between(4, 2**53 - 1)]
    codec: Codec = "raw"


@dataclass(frozen=True, kw_only=True)
class UploadReady(Message):
    """Server: send the chunks."""

    type: ClassVar[str] = "upload_ready"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Uploaded(Message):
    """Server: I have the layer, now or already. Jobs may name it."""

    type: ClassVar[str] = "uploaded"
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class UploadRefused(Message):
    """Server: I did not take it, and why. Chunks still under way are ignored."""

    type: ClassVar[str] = "upload_refused"
    transfer: TransferId
    code: Name
    message: Text
    hint: Text = ""


# ---- jobs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Generated(Record):
    """A layer to be drawn.

    Attributes:
        prompt: what it shows.
        negative_prompt: what it does not.
        seed: of its noise; None derives it from the job's.
    """

    prompt: Prompt
    negative_prompt: Prompt = ""
    seed: Seed | None = None
    kind: Literal["generated"] = "generated"


@dataclass(frozen=True, kw_only=True)
class Kept(Record):
    """A layer the artist has: it guides the others and comes back byte for byte.

    Attributes:
        layer: the id under which it was uploaded.
        width, height: of its pixels.
        x, y: of its top left pixel on the canvas; may lie outside.
        name: comes back with it.
        prompt: what it shows, in a few words.
    """

    layer: LayerId
    width: Side
    height: Side
    x: Offset = 0
    y: Offset = 0
    name: Name
    prompt: Prompt
    format: PixelFormat = "bgra8"
    kind: Literal["kept"] = "kept"


Source = Generated | Kept


@dataclass(frozen=True, kw_only=True)
class Submit(Message):
    """Client: draw this. Answered by `Accepted` or `Failed`.

    Attributes:
        job: a fresh UUID made by the client. The same message twice is one job.
        width, height: the canvas.
        background: what lies behind.
        foregrounds: what lies before it, bottom first.
        blended_prompt: what the whole shows; None makes it from the other prompts.
        seed: of the job.
        steps, guidance_scale, guidance_rescale, sampler: None takes the model's own.
        harmony: "clean" shadow and light, which go with the picture when it is moved, or "exact" ones, with which the
            layers give the blended picture.
        model: a name from `Welcome.models`.
    """

    type: ClassVar[str] = "submit"
    job: JobId
    width: Side
    height: Side
    background: Source
    foregrounds: Annotated[tuple[Source, ...], Length(1, 64)]
    blended_prompt: Prompt | None = None
    seed: Seed = 0
    steps: Count | None = None
    guidance_scale: Real | None = None
    guidance_rescale: Real | None = None
    sampler: Name | None = None
    harmony: Harmony = "clean"
    model: Name


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    """Client: stop this job, waiting or running. Answered by `Cancelled`, or by how the job ended before."""

    type: ClassVar[str] = "cancel"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Resume(Message):
    """Client: I lost the connection; send me this job's events again. Answered by `Accepted` or `Failed`.

    Attributes:
        job: a job of this server instance, whoever submitted it.
        after: `seq` of the last event received whole, 0 for none.
    """

    type: ClassVar[str] = "resume"
    job: JobId
    after: Count = 0


@dataclass(frozen=True, kw_only=True)
class Accepted(Message):
    """Server: the job is known, and its events will come on this connection.

    Attributes:
        position: how many jobs run before it; 0 when it is next, running or over.
        notice: what the artist should know about the model at this size; empty if nothing.
    """

    type: ClassVar[str] = "accepted"
    job: JobId
    position: Count
    notice: Text = ""


@dataclass(frozen=True, kw_only=True)
class Queued(Message):
    """Server: the waiting job moved up. Not numbered; the next one replaces it."""

    type: ClassVar[str] = "queued"
    job: JobId
    position: Count


@dataclass(frozen=True, kw_only=True)
class Started(Message):
    """Server: the job is being drawn. Its first event."""

    type: ClassVar[str] = "started"
    job: JobId
    seq: Sequence


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    """Server: how far the job is. Not numbered, at most ten a second, the next one replaces it.

    Attributes:
        stage: what is going on, in words for people.
        step, total: of this stage; 0 <= step <= total.
        eta: seconds until the job is done, None if unknown.
    """

    type: ClassVar[str] = "progress"
    job: JobId
    stage: Name
    step: Count
    total: Annotated[int, Between(1, 2**53 - 1)]
    eta: Seconds | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step > self.total:
            raise InvalidMessage(f"progress.step is {self.step} of {self.total}.")


@dataclass(frozen=True, kw_only=True)
class Preview(Message):
    """Server: a small picture of a layer that is still being drawn. Not numbered, may be left out.

    Attributes:
        role: which kind of layer.
        index: which of its kind, bottom first, from 0.
        width, height: at most 256.
        pixels: BGRA, 4 x width x height bytes.
    """

    type: ClassVar[str] = "preview"
    job: JobId
    role: Role
    index: Count
    width: Annotated[int, Between(1, PREVIEW_SIDE)]
    height: Annotated[int, Between(1, PREVIEW_SIDE)]
    pixels: bytes
    format: PixelFormat = "bgra8"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_area("preview", self.width, self.height, len(self.pixels))


@dataclass(frozen=True, kw_only=True)
class LayerBegin(Message):
    """Server: a finished layer. Its chunks follow, then `LayerEnd` with the same `seq`.

    Attributes:
        transfer: the number its chunks carry; this connection's, another one after a resume.
        index: place in the finished stack, bottom first, from 0. Layers may come in any order.
        name, role, x, y, width, height, blend, opacity, visible: as the layer is to be made in the document.
        bytes: pixels in all: 4 x width x height.
        sha256: of the pixels. For a kept layer this is the id it was uploaded under.
    """

    type: ClassVar[str] = "layer_begin"
    job: JobId
    seq: Sequence
    transfer: TransferId
    index: Count
    name: Name
    role: Role
    x: Offset
    y: Offset
    width: Side
    height: Side
    blend: Blend
    opacity: Fraction
    visible: bool
    bytes: Count
    sha256: LayerId
    format: PixelFormat = "bgra8"
    codec: Codec = "raw"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_area("layer_begin", self.width, self.height, self.bytes)


@dataclass(frozen=True, kw_only=True)
class LayerEnd(Message):
    """Server: all chunks of the layer are sent."""

    type: ClassVar[str] = "layer_end"
    job: JobId
    seq: Sequence
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Done(Message):
    """Server: every layer has been sent. Last event of a job.

    Attributes:
        layers: how many there are.
    """

    type: ClassVar[str] = "done"
    job: JobId
    seq: Sequence
    layers: Count


@dataclass(frozen=True, kw_only=True)
class Failed(Message):
    """Server: the job ended early, or never began. Last event of a job.

    Attributes:
        seq: its number, or 0 if it answers a message that did not lead to a job.
        code: for programs; PROTOCOL.md lists them.
        message: for people: what is wrong. One sentence.
        hint: for people: what to do about it. One sentence or empty.
    """

    type: ClassVar[str] = "failed"
    job: JobId
    seq: Count
    code: Name
    message: Text
    hint: Text = ""


@dataclass(frozen=True, kw_only=True)
class Cancelled(Message):
    """Server: the job was stopped as asked. Last event of a job."""

    type: ClassVar[str] = "cancelled"
    job: JobId
    seq: Sequence


Event = Started | LayerBegin | Done | Failed | Cancelled
"""What is numbered. A layer is one event: its begin, its chunks and its end."""

FROM_CLIENT = (Hello, Upload, Submit, Cancel, Resume)
FROM_SERVER = (
    Welcome,
    Refused,
    UploadReady,
    Uploaded,
    UploadRefused,
    Accepted,
    Queued,
    Started,
    Progress,
    Preview,
    LayerBegin,
    LayerEnd,
    Done,
    Failed,
    Cancelled,
)
TYPES: Mapping[str, type[Message]] = {message.type: message for message in (*FROM_CLIENT, *FROM_SERVER)}


def from_map(values: Mapping[Any, Any]) -> Message | None:
    """The message that a map with a `type` says; None if this version does not know the type.

    Raises:
        InvalidMessage: a field is missing or wrong.
    """
    message = TYPES.get(values["type"])
    if message is None:
        logger.info("ignored a message of the unknown type %.60r", values["type"])
        return None
    return message.from_map({name: value for name, value in values.items() if name != "type"})


def _check_area(name: str, width: int, height: int, size: int) -> None:
    if size != 4 * width * height:
        raise InvalidMessage(f"{name} has {size} bytes for {width}x{height} pixels; that takes {4 * width * height}.")
