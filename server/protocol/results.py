"""What becomes of a job: events, which are numbered and kept, and notes, which are neither."""

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
    Sequence,
    Side,
    Text,
    TransferId,
    check_area,
)
from .schema import Between


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
        stage: what is going on, as a code for programs; PROTOCOL.md lists them. Words for people before 1.3.
        text: the same in words for people; empty before 1.3.
        step, total: of this stage; 0 <= step <= total.
        eta: seconds until the job is done, None if unknown.
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
            raise InvalidMessage(f"progress.step is {self.step} of {self.total}.")


@dataclass(frozen=True, kw_only=True)
class Notice(Message):
    """Server: something the artist must know to judge the picture.

    Attributes:
        code: for programs; PROTOCOL.md lists them.
        text: for people. One or more sentences.
    """

    type: ClassVar[str] = "notice"
    job: JobId
    seq: Sequence
    code: Name
    text: Text


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
        check_area("preview", self.width, self.height, len(self.pixels))


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
        check_area("layer_begin", self.width, self.height, self.bytes)


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
class Failed(Problem):
    """Server: the job ended early, or never began. Last event of a job.

    Attributes:
        seq: its number, or 0 if it answers a message that did not lead to a job.
    """

    type: ClassVar[str] = "failed"
    job: JobId
    seq: Count


@dataclass(frozen=True, kw_only=True)
class Cancelled(Message):
    """Server: the job was stopped as asked. Last event of a job.

    Attributes:
        replaced_by: the newer job that took its place (see `Submit.replaces`); None if the client asked.
    """

    type: ClassVar[str] = "cancelled"
    job: JobId
    seq: Sequence
    replaced_by: JobId | None = None


Event = Started | Notice | LayerBegin | Done | Failed | Cancelled
"""What is numbered. A layer is one event: its begin, its chunks and its end."""


def is_last(message: Message) -> bool:
    """Whether a job is over with this event."""
    return isinstance(message, (Done, Failed, Cancelled))
