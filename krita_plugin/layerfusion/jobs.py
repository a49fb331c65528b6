"""What the plugin knows about a job while it is pending."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .images import Picture
from .protocol.messages import Kept, LayerBegin, Submit


class Refusal(Exception):
    """The artist's request is not possible.

    Args:
        message: what is wrong, in one sentence.
        hint: the remedy, in one sentence; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Placement:
    """Where a result goes. It is decided when the button is pressed; another document may be active when it arrives.

    Attributes:
        document: id of the document (see `document.Document.id`).
        title: the document's name at that time.
        parent: unique id of the group layer into which the result goes.
        above: unique id of the layer directly below the result; None is the top of `parent`.
        saved: whether the document is a file named `title`, which can be found again after it was closed.
        active: unique id of the node that was active; None if there was none.
        role: the role of the layer that becomes active when the result arrives and `active` is still active: the
            counterpart of the layer that was active. It is "group" for the group itself.
    """

    document: str
    title: str
    parent: str
    above: str | None
    saved: bool = False
    active: str | None = None
    role: str = "foreground"


@dataclass(frozen=True)
class KeptLayer:
    """A layer to keep, as it is on the canvas now.

    Attributes:
        name: the name of the layer.
        picture: its pixels on the whole canvas, and beyond the canvas as far as the layer reaches.
        prompt: the prompt from which it was drawn; empty if this plugin did not draw it.
        losses: properties that its copy will not have, each in a few words.
        placement: where the group with the copy goes: directly above the layer, or above the group of its result.
    """

    name: str
    picture: Picture
    prompt: str
    losses: tuple[str, ...]
    placement: Placement


@dataclass(frozen=True)
class Inserted:
    """A group that was added to a document.

    Attributes:
        active: unique id of the layer that is active now, if it is one of the group; else None.
    """

    active: str | None


class DocumentClosed(Exception):
    """A document was closed while layers were being added to it."""


@dataclass(frozen=True)
class ArrivedLayer:
    """A finished layer that arrived completely and matches its digest.

    Attributes:
        begin: the message that describes it.
        picture: its pixels.
    """

    begin: LayerBegin
    picture: Picture


@dataclass
class PendingJob:
    """A job from the press of a button until its layers are in the document.

    Attributes:
        submit: the submission; it is sent again if the connection was lost before the server answered.
        placement: where its layers go.
        title: the name of its group.
        record: what is saved in the document about it: prompts, seed, steps, model and the other settings.
        pictures: the artist's layers to upload before the submission; empty for a job that was read from disk.
        warning: a notice about the document for the artist; may be empty.
        again: whether it is drawn for the second time, because the server stopped during the first.
        series: id of the job in whose submission this one is a variant; None if it has its own submission.
        accepted: whether the server has accepted it.
        after: sequence number of its last event that arrived completely, for `Resume`.
        arrived: whether it is finished and its layers are being added to the document.
        shows_whole: whether a preview of the whole picture was shown; previews of single layers are then ignored.
        layers: the layers that have arrived, by index in the stack; 0 is the bottom.
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
    arrived: bool = False
    shows_whole: bool = False
    layers: dict[int, ArrivedLayer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.submit.job

    def stack(self) -> list[ArrivedLayer]:
        """The layers, bottom first."""
        return [self.layers[index] for index in sorted(self.layers)]

    def kept_came_back(self) -> bool:
        """Whether the artist's kept layers are among the arrived layers, byte for byte."""
        sources = (("background", self.submit.background), *(("foreground", each) for each in self.submit.foregrounds))
        kept = {(role, source.layer) for role, source in sources if isinstance(source, Kept)}
        return kept <= {(layer.begin.role, layer.begin.sha256) for layer in self.layers.values()}
