"""What the controller needs from the docker and from Krita's documents, so that it can be tested without them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .history_entry import Entry
from .images import Picture
from .jobs import ArrivedLayer, Choice, Inserted, KeptLayer, PendingJob, Placement, Remedy
from .protocol.messages import Style, Welcome


@dataclass(frozen=True)
class Region:
    """A place for a foreground.

    Attributes:
        box: left, top, width and height in pixels.
        shape: of the region in that box, as the protocol writes it; None if it is all of it.
    """

    box: tuple[int, int, int, int]
    shape: str | None = None


@dataclass(frozen=True)
class OtherForeground:
    """A further foreground.

    Attributes:
        prompt: what it shows.
        seed: its own seed, 0 to 2^53-1; None makes it from that of the picture.
        box: left, top, width and height of its place on the canvas, in canvas pixels; None leaves it to the model.
        shape: of the region in that box, as the protocol writes it; None is all of it.
    """

    prompt: str
    seed: int | None = None
    box: tuple[int, int, int, int] | None = None
    shape: str | None = None


@dataclass(frozen=True)
class GenerationParams:
    """The values of the docker's fields.

    Attributes:
        foreground, background: prompts.
        negative: negative prompt for both; may be empty.
        blended: prompt of the whole picture; if empty, it is made from the other two.
        seed: 0 to 2^53-1.
        steps: number of steps; None is the model's default.
        background_in_selection: whether New background changes the background only as far as it is selected.
        model: a name from `Welcome.models`; None is the first of them.
        strength: how much a relit foreground may change, 0 to 1.
        preset: the protocol's name of a preset; None is the model's default.
        pictures: number of pictures, 1 to 16; each has its own seed.
        others: further foregrounds, from the back to the front.
        in_selection: whether a new foreground is drawn into the selection.
        style: the name of the style in which it is drawn; None is no style.
    """

    foreground: str
    background: str
    negative: str = ""
    blended: str = ""
    seed: int = 0
    steps: int | None = None
    model: str | None = None
    strength: float = 0.3
    in_selection: bool = False
    background_in_selection: bool = False
    preset: str | None = None
    pictures: int = 1
    others: tuple[OtherForeground, ...] = ()
    style: str | None = None


@dataclass(frozen=True)
class Pick:
    """A layer that a button would keep, or that the artist may choose.

    Attributes:
        id: its unique id.
        name: its name.
        group: the name of the group of ours that contains it; empty if there is none.
        thumbnail: a small picture of it, as Krita gives it.
        hidden: whether it cannot be seen, because it or a group around it is hidden.
        about: how it was drawn, in lines; empty if this plugin did not draw it.
    """

    id: str
    name: str
    group: str
    thumbnail: Any
    hidden: bool
    about: str = ""


@dataclass(frozen=True)
class Picks:
    """What the next button would work on.

    Attributes:
        foreground, background: the layers; None if there is none.
        chosen: the roles of those that the artist has chosen in the docker.
        record: how the group of the active layer was made; None if the active layer is in no group of ours.
    """

    foreground: Pick | None = None
    background: Pick | None = None
    chosen: tuple[str, ...] = ()
    record: dict[str, Any] | None = None

    def of(self, role: str) -> Pick | None:
        return self.foreground if role == "foreground" else self.background


@dataclass(frozen=True)
class Waiting:
    """A pending job after the first one, or one that another program has begun.

    Attributes:
        job: its id.
        title: the name of its group.
        document: the name of its document; None if it is another program's.
        words: what it is doing.
        picture: a preview, or a layer that it keeps; None if there is neither.
        movable: whether it can be drawn earlier.
    """

    job: str
    title: str
    document: str | None
    words: str
    picture: Picture | None
    movable: bool


@dataclass(frozen=True)
class Stored:
    """A finished picture that the server keeps for the user, whichever program has begun it.

    Attributes:
        job: its id.
        title: its name, or its prompts.
        size: width and height in pixels.
        made: when it was finished, in seconds since 1970.
        there: whether a group in the active document shows it.
        thumbnail: a small picture of it; None if there is none yet.
    """

    job: str
    title: str
    size: tuple[int, int]
    made: float
    there: bool
    thumbnail: Picture | None


class View(Protocol):
    """The docker, as far as the controller needs it."""

    def rebuild(self) -> None:
        """Make everything anew, in the language that is chosen now; what was typed stays."""

    def show_server(self, welcome: Welcome | None, words: str, startable: bool = False) -> None:
        """Show the state of the server: `welcome` is None if there is no connection; `startable` offers to start it."""

    def show_job(self, words: str, step: int, total: int) -> None:
        """Show the progress of a job; `total` is 0 if the number of steps is unknown."""

    def show_idle(self) -> None:
        """Show that no job is under way."""

    def show_queue(self, waiting: tuple[Waiting, ...]) -> None:
        """Show the jobs after the first one, in their order."""

    def show_preview(self, picture: Picture) -> None:
        """Show a preview of the picture that is being drawn."""

    def show_picks(self, picks: Picks) -> None:
        """Show which layers the next button would keep."""

    def show_history(self, entries: tuple[Entry, ...]) -> None:
        """Show the pictures that were drawn into the active document, the newest first."""

    def show_stored(self, pictures: tuple[Stored, ...], more: bool) -> None:
        """Show the user's pictures of the server, the newest first, if the artist looks at them; `more` offers older
        ones."""

    def show_variants(self, index: int, count: int) -> None:
        """Show which of the variants of a press is visible, from 0; `count` is 0 if there are none."""

    def show_styles(self, styles: tuple[Style, ...] | None) -> None:
        """Show the styles that the server keeps; None if it keeps none."""

    def show_live(self, on: bool) -> None:
        """Show whether Shadow and Light follow what the artist does."""

    def note(self, text: str) -> None:
        """Show a notice about the picture until the next one is requested. The same text is shown only once."""

    def say(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        """Show a message until the next message or warning, with a button for the remedy if there is one."""

    def warn(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        """Show an error until the next message or warning; `hint` is the way out, `remedy` a button that does it."""

    def clear(self) -> None:
        """Remove the message and the notices."""


class Preview(Protocol):
    """Shadow and Light of a group, while they follow. `live_preview.LivePreview` implements it."""

    choice: Choice

    @property
    def id(self) -> str: ...
    def waits(self) -> bool: ...
    def look(self) -> object | None: ...
    def touched(self) -> bool: ...
    def show(self, layers: list[ArrivedLayer], size: tuple[int, int]) -> None: ...
    def end(self) -> None: ...


class Document(Protocol):
    """One open document. `document.Document` implements it and documents the methods."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def folder(self) -> Path | None: ...
    def about_colours(self) -> str: ...
    def settings(self) -> dict[str, Any] | None: ...
    def save_settings(self, values: dict[str, Any]) -> None: ...
    def placement(self) -> Placement: ...
    def selected_region(self, size: tuple[int, int]) -> Region | None: ...
    def looked_at(self) -> str: ...
    def picks(self, choice: Choice) -> Picks: ...
    def candidates(self, role: str) -> list[Pick]: ...
    def foregrounds_to_keep(self, choice: Choice, size: tuple[int, int]) -> tuple[KeptLayer, ...]: ...
    def background_to_keep(self, choice: Choice, size: tuple[int, int]) -> KeptLayer: ...
    def background_outside_selection(self, choice: Choice, size: tuple[int, int]) -> KeptLayer: ...
    def both_to_keep(self, choice: Choice, size: tuple[int, int]) -> tuple[tuple[KeptLayer, ...], KeptLayer]: ...
    def history(self) -> list[Entry]: ...
    def selected_picture(self) -> str | None: ...
    def show_picture(self, key: str) -> None: ...
    def unlist_picture(self, key: str) -> None: ...
    def thumbnail(self, group: str) -> Any | None: ...
    def preview(self) -> Preview: ...
    def variants(self) -> tuple[int, int] | None: ...
    def step_variant(self, by: int) -> None: ...
    def keep_variant(self) -> None: ...
    def insert(self, job: PendingJob, waits: Callable[[], None]) -> Generator[None, None, Inserted]: ...
    def name_to_export(self) -> str: ...
    def export_psd(self, path: Path) -> Generator[None, None, tuple[str, ...]]: ...


class Documents(Protocol):
    """Krita's open documents. The module `document` implements it."""

    def active(self) -> Document | None: ...
    def new(self) -> None: ...
    def find(self, placement: Placement) -> Document | None: ...
    def create(self, name: str, size: tuple[int, int]) -> Document: ...
