"""A job's events, which are numbered and stored, and its notes, which are neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .errors import InvalidMessage
from .fields import (
    PREVIEW_SIDE,
    Blend,
    Codec,
    Count,
    Fraction,
    JobId,
    LayerId,
    Message,
    Name,
    Offset,
    PixelFormat,
    Problem,
    Role,
    Seconds,
    Sentence,
    Sequence,
    Side,
    Text,
    TransferId,
    check_area,
)
from .schema import Between, Length, since


@dataclass(frozen=True, kw_only=True)
class Started(Message):
    """Server: drawing begins. It is the first event of a job."""

    type: ClassVar[str] = "started"
    job: JobId
    seq: Sequence


@dataclass(frozen=True, kw_only=True)
class Progress(Message):
    """Server: the progress of a running job. It has no number and comes at most ten times a second.

    Attributes:
        stage: the current stage as a code for programs; PROTOCOL.md lists the codes. Before 1.3, a text for people.
        text: the current stage as a text for people; empty before 1.3.
        step, total: progress in this stage; 0 <= step <= total.
        eta: estimated seconds until the end of the job; None if unknown.
    """

    type: ClassVar[str] = "progress"
    job: JobId
    stage: Name
    text: Text = ""
    step: Count
    total: Annotated[int, Between(1, 2**53 - 1)]
    eta: Seconds | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step > self.total:
            raise InvalidMessage(f"progress.step is {self.step}; it must be at most {self.total}, its total.")


@dataclass(frozen=True, kw_only=True)
class Notice(Message):
    """Server: a fact that the artist must know about the picture.

    Attributes:
        code: a code for programs; PROTOCOL.md lists the codes.
        text: a text for people, in one or more sentences in English.
        sentences: the sentences of `text`; empty from a server before 1.6.
    """

    type: ClassVar[str] = "notice"
    job: JobId
    seq: Sequence
    code: Name
    text: Text
    sentences: tuple[Sentence, ...] = since(6, ())


@dataclass(frozen=True, kw_only=True)
class Preview(Message):
    """Server: a small preview of a layer that is being drawn. It has no number and may be omitted.

    Attributes:
        role: role of the layer.
        index: number of the layer among those of its role, from 0, bottom first.
        width, height: size of the preview, at most 256 pixels.
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
        check_area("preview", self.width, self.height, len(self.pixels))


@dataclass(frozen=True, kw_only=True)
class Masks(Message):
    """Server: the priors and masks of one step and one foreground, for a job with `Submit.masks`.

    They are those of Fig. 3 of the paper.

    Attributes:
        foreground: number of the foreground, from 0, bottom first.
        time: t / T of the step, from 1 (noise) to 0.
        trust: how much the masks were trusted, by their contrast.
        width, height: size of the maps, in tokens, at most 256.
        maps: structure prior, content confidence, soft mask and hard mask, one after the other, compressed with zlib:
            4 x width x height bytes, each from 0 to 255 for a value from 0 to 1, in rows from the top.
    """

    type: ClassVar[str] = "masks"
    job: JobId
    seq: Sequence
    foreground: Count
    time: Fraction
    trust: Fraction
    width: Annotated[int, Between(1, PREVIEW_SIDE)]
    height: Annotated[int, Between(1, PREVIEW_SIDE)]
    maps: Annotated[bytes, Length(1, 400_000)]


@dataclass(frozen=True, kw_only=True)
class LayerBegin(Message):
    """Server: the start of a finished layer. Its chunks follow, and then `LayerEnd` with the same `seq`.

    Attributes:
        transfer: the transfer number of its chunks on this connection; it is another one after a resume.
        index: index in the finished stack, from 0, bottom first. Layers may arrive in any order.
        name, role, x, y, width, height, blend, opacity, visible: the properties of the layer.
        bytes: size of the pixels, 4 x width x height bytes.
        skipped: number of bytes at their beginning that are not sent, because the client has them (`Resume.received`).
        sha256: SHA-256 of the pixels. For a kept layer it is the id of the upload.
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
    skipped: Annotated[int, Between(0, 2**53 - 1)] = since(4, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_area("layer_begin", self.width, self.height, self.bytes)
        if self.skipped > self.bytes:
            raise InvalidMessage(f"layer_begin.skipped is {self.skipped}, beyond the {self.bytes} bytes of the layer.")


@dataclass(frozen=True, kw_only=True)
class LayerEnd(Message):
    """Server: all chunks of the layer were sent."""

    type: ClassVar[str] = "layer_end"
    job: JobId
    seq: Sequence
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Done(Message):
    """Server: all layers were sent. It is the last event of a job.

    Attributes:
        layers: number of layers.
        record: what the picture and its layers were made from, as JSON; PROTOCOL.md describes it. Empty from a server
            before 1.4.
    """

    type: ClassVar[str] = "done"
    job: JobId
    seq: Sequence
    layers: Count
    record: Annotated[str, Length(0, 500_000)] = since(4, "")


@dataclass(frozen=True, kw_only=True)
class Failed(Problem):
    """Server: the job failed, or was not accepted. It is the last event of a job.

    Attributes:
        seq: number of the event; 0 if it answers a message that was not accepted.
    """

    type: ClassVar[str] = "failed"
    job: JobId
    seq: Count


@dataclass(frozen=True, kw_only=True)
class Cancelled(Message):
    """Server: the job was cancelled. It is the last event of a job.

    Attributes:
        replaced_by: id of the newer job that replaced it (see `Submit.replaces`); None if a client cancelled it.
    """

    type: ClassVar[str] = "cancelled"
    job: JobId
    seq: Sequence
    replaced_by: JobId | None = None


Event = Started | Notice | Masks | LayerBegin | Done | Failed | Cancelled
"""The numbered messages of a job. `LayerBegin`, the chunks and `LayerEnd` are one event together."""


def is_last(message: Message) -> bool:
    """Whether a message is the last event of a job."""
    return isinstance(message, (Done, Failed, Cancelled))
