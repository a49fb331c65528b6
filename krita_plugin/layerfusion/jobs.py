"""What the plugin knows about a job while it is pending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .images import Picture
from .protocol.messages import Kept, LayerBegin, Submit


@dataclass(frozen=True)
class Remedy:
    """What the plugin can do about a problem, if the artist wants it.

    Attributes:
        label: the text of the button.
        action: what the button does.
    """

    label: str
    action: Callable[[], object]


class Refusal(Exception):
    """The artist's request is not possible.

    Args:
        message: what is wrong, in one sentence.
        hint: the remedy, in one sentence; may be empty.
        remedy: the remedy as a button; None if the artist has to do it.
    """

    def __init__(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint
        self.remedy = remedy


@dataclass(frozen=True)
class Choice:
    """Layers that the artist has chosen in the docker, by their unique ids; None follows the active layer."""

    foreground: str | None = None
    background: str | None = None


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
        path: the path of that file; empty if it was never saved.
        canvas: width and height of the document; None if an older version of the plugin made the job.
        role: the role of the layer that becomes active when the result arrives and `active` is still active: the
            counterpart of the layer that was active. It is "group" for the group itself.
        number: which of the layers with that role, from the bottom; None is the topmost.
    """

    document: str
    title: str
    parent: str
    above: str | None
    saved: bool = False
    active: str | None = None
    role: str = "foreground"
    path: str = ""
    canvas: tuple[int, int] | None = None
    number: int | None = None


@dataclass(frozen=True)
class KeptLayer:
    """A layer to keep, as it is on the canvas now.

    Attributes:
        name: the name of the layer.
        picture: its pixels on the whole canvas, and beyond the canvas as far as the layer reaches.
        prompt: the prompt from which it was drawn; empty if this plugin did not draw it.
        notes: what the artist should know about its copy, each a sentence.
        placement: where the group with the copy goes: directly above the layer, or above the group of its result.
        opacity: 0 to 1.
        blend: the name of its blending mode in Krita.
        copy: a duplicate of Krita's layer, with its masks, for the group of the result; None if its pixels are copied.
        picked: whether the button works on it; a foreground beside that one in the same picture is kept with it.
    """

    name: str
    picture: Picture
    prompt: str
    notes: tuple[str, ...]
    placement: Placement
    opacity: float = 1.0
    blend: str = "normal"
    copy: Any = None
    picked: bool = True


@dataclass(frozen=True)
class Inserted:
    """A group that was added to a document.

    Attributes:
        active: unique id of the layer that is active now, if it is one of the group; else None.
        unseen: why it cannot be seen, as a sentence; empty if it can.
        remedy: what makes it visible, if the plugin can do it.
        scaled: what was done because the document has another size now, as a sentence; else empty.
    """

    active: str | None
    unseen: str = ""
    remedy: Remedy | None = None
    scaled: str = ""


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
        artists: the artist's layers that are kept or relit; empty for a job that was read from disk.
        warning: a notice about the document for the artist; may be empty.
        returns: whether it was drawn earlier and is put back, because its group was deleted.
        again: whether it is drawn for the second time, because the server stopped during the first.
        press: a text that the jobs of one press of a button have in common.
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
    artists: tuple[KeptLayer, ...]
    warning: str
    again: bool = False
    returns: bool = False
    press: str = ""
    series: str | None = None
    accepted: bool = False
    after: int = 0
    arrived: bool = False
    shows_whole: bool = False
    layers: dict[int, ArrivedLayer] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.submit.job

    @property
    def size(self) -> tuple[int, int]:
        """Width and height at which it is drawn."""
        return self.submit.width, self.submit.height

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pixels to upload before the submission."""
        return tuple(layer.picture for layer in self.artists)

    @property
    def copies(self) -> dict[str, KeptLayer]:
        """The artist's layers that are kept, by the digest with which their pixels come back."""
        return {layer.picture.sha256: layer for layer in self.artists if layer.picture.sha256 in self.kept}

    @property
    def kept(self) -> frozenset[str]:
        """The digests of the artist's layers that come back as they are."""
        sources = (self.submit.background, *self.submit.foregrounds)
        return frozenset(source.layer for source in sources if isinstance(source, Kept))

    def stack(self) -> list[ArrivedLayer]:
        """The layers, bottom first."""
        return [self.layers[index] for index in sorted(self.layers)]

    def kept_came_back(self) -> bool:
        """Whether the artist's kept layers are among the arrived layers, byte for byte."""
        sources = (("background", self.submit.background), *(("foreground", each) for each in self.submit.foregrounds))
        kept = {(role, source.layer) for role, source in sources if isinstance(source, Kept)}
        return kept <= {(layer.begin.role, layer.begin.sha256) for layer in self.layers.values()}
