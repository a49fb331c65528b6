"""One picture of a document's history, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .protocol.errors import ProtocolError
from .protocol.messages import Cancel, Submit

PLAIN = "plain"
"""The field of a record with the submission before a style was added to it."""


@dataclass(frozen=True)
class Entry:
    """A picture that was drawn into a document.

    Attributes:
        key: a text that no other picture of the document has.
        title: the name of its group when it was drawn.
        values: how it was drawn, as JSON values: prompts, seed, model and settings, and the submission.
        made: when it was drawn, in seconds since 1970.
        group: the unique id of the group that shows it, the topmost if there are several; None if the artist has
            deleted its group.
        seen: whether it is the one that is seen on the canvas.
        thumbnail: a small picture of it, as `images.Picture` or as Krita gives it; None if there is none yet.
    """

    key: str
    title: str
    values: dict[str, Any]
    made: float
    group: str | None
    seen: bool
    thumbnail: Any = None

    @property
    def there(self) -> bool:
        """Whether a group in the document shows it."""
        return self.group is not None

    @property
    def job(self) -> str | None:
        """The id of its job on the server; None if an older version of the plugin drew it."""
        return job_of(self.values)

    @property
    def submit(self) -> Submit | None:
        """Its submission. None if none was saved, or if it makes no sense: the file may come from a stranger."""
        return _submit(self.values.get("submit"))

    @property
    def plain(self) -> Submit | None:
        """Its submission before a style was added to it; None if it has no style."""
        return _submit(self.values.get(PLAIN))


def _submit(values: Any) -> Submit | None:
    if not isinstance(values, dict):
        return None
    try:
        return Submit.from_map({name: value for name, value in values.items() if name != "type"})
    except ProtocolError:
        return None


def job_of(values: dict[str, Any]) -> str | None:
    """The id of the job in the values of a record; None if there is none that makes sense."""
    submit = values.get("submit")
    job: Any = submit.get("job") if isinstance(submit, dict) else None
    try:
        return None if job is None else Cancel(job=job).job  # it checks the id
    except ProtocolError:
        return None
