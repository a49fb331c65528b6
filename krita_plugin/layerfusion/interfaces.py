"""What the controller needs of the docker and of Krita's documents, so that it can be read and tested without them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .images import Picture
from .jobs import ArrivedLayer, KeptLayer, Placement
from .protocol.messages import Welcome


@dataclass(frozen=True)
class GenerationParams:
    """What the docker's fields say.

    Attributes:
        foreground, background: prompts.
        negative: what neither should show; may be empty.
        blended: what the whole shows; empty makes it from the other two.
        seed: 0 to 2^53-1.
        steps: None takes the model's own.
        model: a name from `Welcome.models`; None takes the first.
        strength: how much of a foreground that is relit is drawn anew, 0 to 1.
        preset: how close to the paper, how fast, by the protocol's name; None is the model's own way.
        pictures: how many to draw, each with a seed of its own, 1 to 16.
        in_selection: a new foreground is drawn in the box around the selection.
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
    preset: str | None = None
    pictures: int = 1


class View(Protocol):
    """The docker, as far as the controller needs it."""

    def show_server(self, welcome: Welcome | None, words: str, startable: bool = False) -> None:
        """Say how it stands with the server; `welcome` is None while there is none."""

    def show_job(self, words: str, step: int, total: int) -> None:
        """A job is under way; `total` is 0 while its length is unknown."""

    def show_idle(self) -> None:
        """No job is under way."""

    def show_preview(self, picture: Picture) -> None:
        """A small picture of what is being drawn."""

    def note(self, text: str) -> None:
        """Something about the picture under way that stays in sight until another is asked for; twice is once."""

    def say(self, message: str, hint: str = "") -> None:
        """Something to know, until there is something else."""

    def warn(self, message: str, hint: str = "") -> None:
        """Something went wrong; `hint` is what to do about it."""

    def ask(self, question: str, accept: str) -> bool:
        """Let the artist decide; `accept` names what yes does."""
        ...


class Document(Protocol):
    """One open document: `document.Document`, which says more about each."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    def check_colours(self) -> str: ...
    def placement(self) -> Placement: ...
    def selected_box(self) -> tuple[int, int, int, int] | None: ...
    def foreground_to_keep(self) -> KeptLayer: ...
    def background_to_keep(self) -> KeptLayer: ...
    def both_to_keep(self) -> tuple[KeptLayer, KeptLayer]: ...
    def insert(self, placement: Placement, name: str, layers: list[ArrivedLayer], record: dict[str, Any]) -> None: ...
    def name_to_export(self) -> str: ...
    def export_psd(self, path: Path) -> None: ...


class Documents(Protocol):
    """Krita's open documents: the module `document`."""

    def active(self) -> Document | None: ...
    def find(self, placement: Placement, size: tuple[int, int]) -> Document | None: ...
