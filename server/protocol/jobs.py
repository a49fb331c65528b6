"""Asking for pictures: what a client says of a job, and what it is answered before drawing begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from .errors import InvalidMessage
from .fields import (
    Blend,
    Count,
    Fraction,
    Harmony,
    JobId,
    LayerId,
    Message,
    Name,
    Offset,
    PixelFormat,
    Priority,
    Prompt,
    Real,
    Seconds,
    Seed,
    Sequence,
    Side,
    Text,
)
from .schema import Length, Record, newest, since
from .titles import title

MAX_VARIANTS = 15
"""Besides the picture itself."""


@dataclass(frozen=True, kw_only=True)
class Box(Record):
    """A rectangle on the canvas: the place of its top left pixel, and its size."""

    x: Offset
    y: Offset
    width: Side
    height: Side


@dataclass(frozen=True, kw_only=True)
class Generated(Record):
    """A layer to be drawn.

    Attributes:
        prompt: what it shows.
        negative_prompt: what it does not.
        seed: of its noise; None derives it from the job's.
        box: where on the canvas a foreground is drawn; None leaves it to the model.
    """

    prompt: Prompt
    negative_prompt: Prompt = ""
    seed: Seed | None = None
    box: Box | None = since(2, None)
    kind: Literal["generated"] = "generated"


@dataclass(frozen=True, kw_only=True)
class Existing(Record):
    """A layer the artist has, as `Kept` or `Relit`.

    Attributes:
        layer: the id under which it was uploaded.
        width, height: of its pixels.
        x, y: of its top left pixel on the canvas; may lie outside.
        name: comes back with it.
        prompt: what it shows, in a few words.
        blend, opacity, visible: how it lies in the artist's document; a kept layer comes back with them.
    """

    layer: LayerId
    width: Side
    height: Side
    x: Offset = 0
    y: Offset = 0
    name: Name
    prompt: Prompt
    blend: Blend = since(3, "normal")
    opacity: Fraction = since(3, 1.0)
    visible: bool = since(3, True)
    format: PixelFormat = "bgra8"


@dataclass(frozen=True, kw_only=True)
class Kept(Existing):
    """A layer the artist has: it guides the others and comes back byte for byte. Attributes: see `Existing`."""

    kind: Literal["kept"] = "kept"


@dataclass(frozen=True, kw_only=True)
class Relit(Existing):
    """A layer the artist has, drawn anew over her own pixels so that it fits the picture.

    Attributes:
        layer, …, visible: see `Existing`.
        negative_prompt: what it does not show.
        seed: of the noise put on it; None derives it from the job's.
        strength: how much is drawn anew.
    """

    negative_prompt: Prompt = ""
    seed: Seed | None = None
    strength: Fraction = 0.5
    kind: Literal["relit"] = since(2, "relit")


Source = Generated | Kept | Relit


@dataclass(frozen=True, kw_only=True)
class Switch(Record):
    """One switch of the method in another position.

    Attributes:
        name: as the server's documentation lists them.
        value: in words: a number, `true`, `false`, `none`, or one of the names the switch takes.
    """

    name: Name
    value: Annotated[str, Length(0, 255)]


@dataclass(frozen=True, kw_only=True)
class Variant(Record):
    """The same picture once more, with another seed.

    Attributes:
        job: its own fresh id.
        seed: its own seed, in the place of `Submit.seed`.
    """

    job: JobId
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Submit(Message):
    """Client: draw this. Answered by `Accepted` or `Failed`.

    Attributes:
        job: a fresh UUID made by the client. The same message twice is one job.
        width, height: the canvas.
        background: what lies behind.
        foregrounds: what lies before it, bottom first.
        blended_prompt: what the whole shows; None makes it from the other prompts.
        blended_strength: how much of the blended picture is drawn anew over the artist's layers, if she has them all.
        seed: of the job.
        steps, guidance_scale, guidance_rescale, sampler: None takes the model's own.
        preset: how fast or how close to the paper, by name; None is the model's own way.
        switches: single switches of the method, after the preset.
        harmony: "clean" shadow and light, which go with the picture when it is moved, or "exact" ones, with which the
            layers give the blended picture.
        refine: on a canvas larger than what the model draws, how much of the enlarged layers is drawn anew in tiles,
            for finer edges; 0 is off.
        model: a name from `Welcome.models`.
        priority: "interactive" jobs are drawn before "batch" ones, whoever's they are.
        replaces: what this is a picture of, for instance a document; an earlier job of this client for the same that
            still waits is cancelled. None replaces nothing.
        variants: further pictures, each a job of its own with its own events. All are queued, or none.
    """

    type: ClassVar[str] = "submit"
    job: JobId
    width: Side
    height: Side
    background: Source
    foregrounds: Annotated[tuple[Source, ...], Length(1, 64)]
    blended_prompt: Prompt | None = None
    blended_strength: Fraction | None = since(2, None)
    seed: Seed = 0
    steps: Count | None = None
    guidance_scale: Real | None = None
    guidance_rescale: Real | None = None
    sampler: Name | None = None
    preset: Name | None = since(2, None)
    switches: Annotated[tuple[Switch, ...], Length(0, 64)] = since(2, ())
    harmony: Harmony = "clean"
    refine: Fraction = since(3, 0.0)
    model: Name
    priority: Priority = since(1, "interactive")
    replaces: Name | None = since(1, None)
    variants: Annotated[tuple[Variant, ...], Length(0, MAX_VARIANTS)] = since(1, ())

    def __post_init__(self) -> None:
        super().__post_init__()
        ids = [self.job, *(variant.job for variant in self.variants)]
        if len(set(ids)) < len(ids):
            raise InvalidMessage("submit.variants uses a job id twice.", "Make a fresh id for each job.")

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where all layers come from: the foregrounds, bottom first, then the background."""
        return (*self.foregrounds, self.background)

    @property
    def title(self) -> str:
        """The job in a few words."""
        return title(source.prompt for source in self.sources)

    @property
    def minor(self) -> int:
        """The first minor version of the protocol that knows all that is asked for: an older server would refuse a part
        of it, or leave it out without a word."""
        return max(newest(self), 2 if isinstance(self.background, Kept) else 0)

    def jobs(self) -> tuple[Submit, ...]:
        """One message for each picture this asks for; the first keeps the list of the others."""
        others = (replace(self, job=variant.job, seed=variant.seed, variants=()) for variant in self.variants)
        return (self, *others)


@dataclass(frozen=True, kw_only=True)
class Resubmit(Message):
    """Client: draw that job's picture again, as a job of its own. Answered as `Submit` is.

    Attributes:
        job: a fresh UUID. The same message twice is one job.
        of: the job whose request is taken, seed included; usually one that was interrupted.
    """

    type: ClassVar[str] = "resubmit"
    job: JobId
    of: JobId


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    """Client: stop this job, waiting or running. Answered by `Cancelled`, or by how the job ended before."""

    type: ClassVar[str] = "cancel"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Resume(Message):
    """Client: I lost the connection; send me this job's events again. Answered by `Accepted` or `Failed`.

    Attributes:
        job: any that the server still has, whoever submitted it and however often the server has started since.
        after: `seq` of the last event received whole, 0 for none.
    """

    type: ClassVar[str] = "resume"
    job: JobId
    after: Count = 0


@dataclass(frozen=True, kw_only=True)
class Ack(Message):
    """Client: I have this job's events up to `seq`, where I will not lose them. Not answered.

    A job whose last event was acknowledged may be forgotten sooner than one nobody has fetched.
    """

    type: ClassVar[str] = "ack"
    job: JobId
    seq: Sequence


@dataclass(frozen=True, kw_only=True)
class Accepted(Message):
    """Server: the job is known, and its events will come on this connection.

    Attributes:
        position: how many jobs run before it; 0 when it is next, running or over.
        notice: what the artist should know about the model at this size; empty if nothing.
        starts_in: seconds until it is drawn, by how long such jobs took before; None if that is not known.
    """

    type: ClassVar[str] = "accepted"
    job: JobId
    position: Count
    notice: Text = ""
    starts_in: Seconds | None = None


@dataclass(frozen=True, kw_only=True)
class Queued(Message):
    """Server: the waiting job's place has changed. Not numbered; the next one replaces it.

    Attributes:
        position: how many jobs run before it.
        starts_in: seconds until it is drawn, as far as is known.
    """

    type: ClassVar[str] = "queued"
    job: JobId
    position: Count
    starts_in: Seconds | None = None
