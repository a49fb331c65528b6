"""Which layers the next button works on, and what the artist has chosen in the docker instead."""

from __future__ import annotations

from dataclasses import replace

from .interfaces import Document, Documents, Pick, Picks, View
from .jobs import Choice


class Choosing:
    """Keeps the choice for each document until a result arrives, and shows what the next button would keep.

    Args:
        view: the docker.
        documents: Krita's open documents.
    """

    def __init__(self, view: View, documents: Documents) -> None:
        self._view = view
        self._documents = documents
        self._choices: dict[str, Choice] = {}  # by document
        self._seen = ""

    def look(self, anew: bool = False) -> bool:
        """Show which layers the next button would work on. Called often: Krita does not say when one is selected.

        Args:
            anew: whether to look also if the same layer is active as before; layers may have been hidden or deleted.

        Returns:
            Whether something may have changed.
        """
        document = self._documents.active()
        seen = "" if document is None else document.looked_at()
        if seen == self._seen and not anew:
            return False
        self._seen = seen
        self._view.show_picks(Picks() if document is None else document.picks(self.of(document)))
        return True

    def candidates(self, role: str) -> list[Pick]:
        """The layers of the active document that the artist may choose for a role."""
        document = self._documents.active()
        return [] if document is None else document.candidates(role)

    def choose(self, role: str, layer: str | None) -> None:
        """Work on a layer, whichever is active, until the next result arrives; None follows the active layer again."""
        document = self._documents.active()
        if document is not None:
            self._choices[document.id] = replace(self.of(document), **{role: layer})
            self.look(anew=True)

    def of(self, document: Document) -> Choice:
        """What the artist has chosen for a document."""
        return self._choices.get(document.id, Choice())

    def forget(self, document: Document) -> None:
        """Follow the active layer again, because a result has arrived that has copies of the chosen layers."""
        self._choices.pop(document.id, None)
        self.look(anew=True)
