"""What the artist does with the variants of a press: look at one after the other, and keep one."""

from __future__ import annotations

from .interfaces import Documents, View
from .translation import tr


class Variants:
    """Works on the variants in the active document.

    Args:
        view: the docker.
        documents: Krita's open documents.
    """

    def __init__(self, view: View, documents: Documents) -> None:
        self._view = view
        self._documents = documents

    def look(self) -> None:
        """Show which of the variants is visible."""
        document = self._documents.active()
        found = None if document is None else document.variants()
        self._view.show_variants(*(found or (0, 0)))

    def step(self, by: int) -> None:
        """Show the next variant (1) or the previous one (-1)."""
        document = self._documents.active()
        if document is not None and document.variants() is not None:
            document.step_variant(by)
            self.look()

    def keep(self) -> None:
        """Keep the variant that is visible, and remove the others."""
        document = self._documents.active()
        if document is not None and document.variants() is not None:
            document.keep_variant()
            self.look()
            self._view.say(tr("Kept this one."), tr("The others are in the history."))
