"""What the artist has typed in the docker: it is saved in the document, and places are taken from its selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from . import actions
from .interfaces import Document, Documents, GenerationParams, Region, View
from .refusals import RefusalsShown
from .settings import params_of
from .translation import tr


class Typed:
    """The values of the docker's fields, for the active document.

    Args:
        view: the docker.
        documents: Krita's open documents.
        open_document: gives the active document, and refuses if there is none.
    """

    def __init__(self, view: View, documents: Documents, open_document: Callable[[], Document]) -> None:
        self._view = view
        self._documents = documents
        self._open_document = open_document

    def selected_region(self) -> Region | None:
        """The selection, in canvas pixels; None if there is none, which the artist is told."""
        with RefusalsShown(self._view):
            document = self._open_document()
            return actions.selected_region(document, document.size, tr("Select the place for the foreground."))
        return None

    def of_document(self) -> GenerationParams | None:
        """The values that the active document has saved; None if it has none."""
        document = self._documents.active()
        values = None if document is None else document.settings()
        return None if values is None else params_of(values)

    def remember(self, params: GenerationParams) -> None:
        """Save the values in the active document, because the artist has changed one."""
        document = self._documents.active()
        if document is not None:
            document.save_settings(asdict(params))
