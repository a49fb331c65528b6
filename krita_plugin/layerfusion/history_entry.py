"""One picture of a document's history, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .protocol.messages import Submit


@dataclass(frozen=True)
class Entry:
    """A picture that was drawn into a document.

    Attributes:
        key: a text that no other picture of the document has.
        title: the name of its group when it was drawn.
        values: how it was drawn, as JSON values: prompts, seed, model and settings.
        submit: its submission, with the id of its job; None if an older version of the plugin saved none. Without it,
            the server cannot be asked for the picture.
        made: when it was drawn, in seconds since 1970.
        there: whether a group in the document shows it. If not, the artist has deleted its group.
        seen: whether it is the one that is seen on the canvas.
        thumbnail: a small picture of it, as `images.Picture` or as Krita gives it; None if there is none yet.
    """

    key: str
    title: str
    values: dict[str, Any]
    submit: Submit | None
    made: float
    there: bool
    seen: bool
    thumbnail: Any = None

    @property
    def job(self) -> str | None:
        """The id of its job on the server."""
        return None if self.submit is None else self.submit.job
