"""What the plugin remembers of a job while the server draws it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .images import Picture
from .protocol.messages import Kept, LayerBegin, Submit


class Refusal(Exception):
    """What the artist asked for cannot be done.

    Args:
        message: what is wrong. One sentence.
        hint: what to do about it. One sentence, may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Placement:
    """Where a result goes, decided when the button is pressed; the artist may be anywhere else by the time it arrives.

    Attributes:
        document: id of the document (see `document.Document.id`).
        title: its name then, for messages.
        parent: unique id of the group layer the result goes into.
        above: unique id of the layer it goes directly above, None for the top of `parent`.
        saved: the document is a file of that title, so that it may be closed and opened again.
    """

    document: str
    title: str
    parent: str
    above: str | None
    saved: bool = False


@dataclass(frozen=True)
class KeptLayer:
    """A layer the artist wants to keep, as it is on the canvas now.

    Attributes:
        name: its name.
        picture: its pixels: at least the whole canvas, more where the layer reaches beyond.
        prompt: the prompt it was drawn from; empty if this plugin did not draw it.
        losses: what its copy will not have, each in a few words.
        placement: where the group with the copy goes: directly above the layer, or the group it was drawn with.
    """

    name: str
    picture: Picture
    prompt: str
    losses: tuple[str, ...]
    placement: Placement


@dataclass(frozen=True)
class ArrivedLayer:
    """A finished layer, whole and checked against its digest.

    Attributes:
        begin: what the server said about it.
        picture: its pixels.
    """

    begin: LayerBegin
    picture: Picture


@dataclass
class PendingJob:
    """A job between its button and its layers.

    Attributes:
        submit: the message that asks for it; sent again if the connection broke before the server answered.
        placement: where its layers go.
        title: the name of its group.
        record: what the document will remember about it: prompts, seed, steps and model.
        pictures: the artist's own, uploaded first; none once the server has them.
        warning: what the artist should know about the document.
        again: it is drawn for the second time, as the server stopped during the first.
        series: the job whose message asks for this one too, with another seed; None if it has a message of its own.
        accepted: the server has it.
        after: sequence number of the last event that came whole, for `Resume`.
        shows_whole: the preview on screen is of the whole picture, so one of a part must not take its place.
        layers: what has arrived, by place in the stack, bottom first.
    """

    submit: Submit
    placement: Placement
    title: str
    record: dict[str, Any]
    pictures: tuple[Picture, ...]
    warning: str
    again: bool = False
    series: str | None = None
    accepted: bool = False
    after: int = 0
    shows_whole: bool = False
    layers: dict[int, ArrivedLayer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.submit.job

    def stack(self) -> list[ArrivedLayer]:
        """The layers, bottom first."""
        return [self.layers[index] for index in sorted(self.layers)]

    def kept_came_back(self) -> bool:
        """Whether the artist's own pictures are among the layers, byte for byte."""
        asked = (("background", self.submit.background), *(("foreground", each) for each in self.submit.foregrounds))
        kept = {(role, source.layer) for role, source in asked if isinstance(source, Kept)}
        return kept <= {(layer.begin.role, layer.begin.sha256) for layer in self.layers.values()}
