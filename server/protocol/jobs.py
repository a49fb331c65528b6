"""Messages that submit, cancel, resume and acknowledge jobs, and the server's answers before drawing begins."""

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
"""Most variants of a submission, in addition to its own picture."""


@dataclass(frozen=True, kw_only=True)
class Box(Record):
    """A rectangle on the canvas: the position of its top left pixel, and its size, in pixels."""

    x: Offset
    y: Offset
    width: Side
    height: Side


@dataclass(frozen=True, kw_only=True)
class Generated(Record):
    """A layer that is drawn from a prompt.

    Attributes:
        prompt: what the layer shows.
        negative_prompt: what the layer should not show.
        seed: seed of its noise; None derives it from the job's seed.
        box: the place of a foreground on the canvas; None leaves it to the model.
        shape: of the region in the box, as PROTOCOL.md says; None is all of it.
    """

    prompt: Prompt
    negative_prompt: Prompt = ""
    seed: Seed | None = None
    box: Box | None = since(2, None)
    shape: Annotated[str, Length(1, 100_000)] | None = since(5, None)
    kind: Literal["generated"] = "generated"


@dataclass(frozen=True, kw_only=True)
class Existing(Record):
    """An uploaded layer of the artist's, base of `Kept` and `Relit`.

    Attributes:
        layer: SHA-256 of its pixels, which is the id under which it was uploaded.
        width, height: size of its pixels.
        x, y: position of its top left pixel on the canvas; it may be outside the canvas.
        name: the layer's name, which is returned with it.
        prompt: what the layer shows, in a few words.
        blend, opacity, visible: its properties in the artist's document; they are returned with a kept layer.
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
    """A layer that is kept: it guides the other layers and is returned byte for byte. For the fields see `Existing`."""

    kind: Literal["kept"] = "kept"


@dataclass(frozen=True, kw_only=True)
class Relit(Existing):
    """A layer that is drawn over, starting from the artist's pixels, so that it fits the picture.

    Attributes:
        layer, …, visible: see `Existing`.
        negative_prompt: what the layer should not show.
        seed: seed of its noise; None derives it from the job's seed.
        strength: how much it may change, from 0 (hardly) to 1 (completely).
    """

    negative_prompt: Prompt = ""
    seed: Seed | None = None
    strength: Fraction = 0.5
    kind: Literal["relit"] = since(2, "relit")


Source = Generated | Kept | Relit


@dataclass(frozen=True, kw_only=True)
class Switch(Record):
    """One option of the method with its value. The protocol calls options switches.

    Attributes:
        name: name of the option; docs/fusion-settings.md lists them.
        value: the value as text: a number, `true`, `false`, `none`, or one of the names that the option allows.
    """

    name: Name
    value: Annotated[str, Length(0, 255)]


@dataclass(frozen=True, kw_only=True)
class Variant(Record):
    """A further picture of the same submission with another seed.

    Attributes:
        job: its own new job id.
        seed: its seed, which replaces `Submit.seed`.
    """

    job: JobId
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Submit(Message):
    """Client: draw a picture. The answer is `Accepted` or `Failed`.

    Attributes:
        job: a new UUID made by the client. If the same message is sent twice, it is one job.
        width, height: size of the canvas, in pixels.
        background: source of the background.
        foregrounds: sources of the foregrounds, bottom first.
        blended_prompt: what the whole picture shows; None makes it from the other prompts.
        blended_strength: how much of the blended picture is drawn over the composite of the layers, from 0 to 1, if
            none of them is generated; None is the server's default.
        seed: seed of the job.
        steps, guidance_scale, guidance_rescale, sampler: None is the model's default.
        preset: name of a preset; None is the model's default.
        switches: options that are changed after the preset.
        harmony: how Shadow and Light are made: "clean" ones still fit after layers were moved, and "exact" ones
            make the stack equal to the blended picture.
        refine: strength of the tiled refinement, from 0 (off) to 1, on a canvas that is larger than the model's size.
        literal_prompts: whether brackets, tags and other syntax in prompts are ordinary text.
        model: a name from `Welcome.models`.
        priority: "interactive" jobs of all clients are drawn before "batch" jobs.
        replaces: a name for the subject of the picture, for example a document. An earlier waiting job of this client
            with the same name is cancelled. None replaces nothing.
        variants: further pictures; each is a job with its own events. All of them are queued, or none.
        masks: whether the priors and masks of every step are recorded and sent; see `Masks`.
        passing: whether it is a glance at what the artist is doing, and no picture of its own: it is in no list, and
            it is deleted when it is cancelled or its client disconnects.
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
    literal_prompts: bool = since(3, False)
    model: Name
    priority: Priority = since(1, "interactive")
    replaces: Name | None = since(1, None)
    variants: Annotated[tuple[Variant, ...], Length(0, MAX_VARIANTS)] = since(1, ())
    masks: bool = since(5, False)
    passing: bool = since(6, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        ids = [self.job, *(variant.job for variant in self.variants)]
        if len(set(ids)) < len(ids):
            raise InvalidMessage("submit.variants uses a job id twice.", "Make a new id for each job.")

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources of all layers: the foregrounds, bottom first, then the background."""
        return (*self.foregrounds, self.background)

    @property
    def title(self) -> str:
        """The title of the job, made from its prompts."""
        return title(source.prompt for source in self.sources)

    @property
    def minor(self) -> int:
        """The first minor version of the protocol with all fields that are set here. An older server would refuse the
        submission or ignore some fields without an error."""
        return max(newest(self), 2 if isinstance(self.background, Kept) else 0)

    def jobs(self) -> tuple[Submit, ...]:
        """One submission per picture. The first is this one, including its list of variants."""
        others = (replace(self, job=variant.job, seed=variant.seed, variants=()) for variant in self.variants)
        return (self, *others)


@dataclass(frozen=True, kw_only=True)
class Resubmit(Message):
    """Client: draw the picture of an earlier job again, as a new job. The answer is `Accepted` or `Failed`.

    Attributes:
        job: a new UUID. If the same message is sent twice, it is one job.
        of: id of the earlier job, whose request is used with the same seed; usually it was interrupted.
        masks: whether the priors and masks are recorded this time, even if they were not asked for then.
    """

    type: ClassVar[str] = "resubmit"
    job: JobId
    of: JobId
    masks: bool = since(5, False)


@dataclass(frozen=True, kw_only=True)
class Cancel(Message):
    """Client: stop a waiting or running job. The answer is the job's last event, usually `Cancelled`."""

    type: ClassVar[str] = "cancel"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Move(Message):
    """Client: change the order of its waiting jobs. There is no answer; the jobs whose position changes get `Queued`.

    Nothing happens if one of the jobs does not wait, or belongs to another client or priority.

    Attributes:
        job: a waiting job.
        before: the waiting job of the same client before which it is drawn; None draws it after the client's others.
    """

    type: ClassVar[str] = "move"
    job: JobId
    before: JobId | None = None


@dataclass(frozen=True, kw_only=True)
class Resume(Message):
    """Client: send a job's events, for example after the connection was lost. The answer is `Accepted` or `Failed`.

    Attributes:
        job: any job that the server still has, of any client, also from before a restart of the server.
        after: `seq` of the last event that was received completely; 0 if there is none.
        received: number of bytes at the beginning of the next event's layer that the client has. The server sends the
            rest only, so that a layer arrives over a slow or broken link.
    """

    type: ClassVar[str] = "resume"
    job: JobId
    after: Count = 0
    received: Count = since(4, 0)


@dataclass(frozen=True, kw_only=True)
class Ack(Message):
    """Client: a job's events up to `seq` were received and saved. There is no answer.

    The server may delete a job sooner if its last event was acknowledged.
    """

    type: ClassVar[str] = "ack"
    job: JobId
    seq: Sequence


@dataclass(frozen=True, kw_only=True)
class Accepted(Message):
    """Server: it has the job, and will send the job's events on this connection.

    Attributes:
        position: number of jobs that run before it; 0 if it is next, running or over.
        notice: limitations of the model at this size, for the artist; empty if there are none.
        starts_in: estimated seconds until the job starts, from the time that similar jobs took; None if unknown.
    """

    type: ClassVar[str] = "accepted"
    job: JobId
    position: Count
    notice: Text = ""
    starts_in: Seconds | None = None


@dataclass(frozen=True, kw_only=True)
class Queued(Message):
    """Server: the position of a waiting job has changed. It has no number; the next one replaces it.

    Attributes:
        position: number of jobs that run before it.
        starts_in: estimated seconds until the job starts; None if unknown.
    """

    type: ClassVar[str] = "queued"
    job: JobId
    position: Count
    starts_in: Seconds | None = None
