"""What the artist does with the pictures of a document: show one, put it back, draw it again, unlist it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .history_entry import Entry
from .interfaces import Document, Documents, GenerationParams, View
from .jobs import Refusal
from .protocol.messages import Delete, Message
from .refusals import RefusalsShown
from .settings import params_of
from .thumbnails import Thumbnails
from .translation import tr


class History:
    """Shows the pictures of the active document, and works on them.

    Args:
        view: the docker.
        documents: Krita's open documents.
        send: sends a message to the server.
        thumbnails: small pictures of jobs.
        put_back: adds a picture that the server still has to a document.
        draw_again: draws a picture again with a seed, or with all values of the docker's fields.
    """

    def __init__(
        self,
        view: View,
        documents: Documents,
        send: Callable[[Message], None],
        thumbnails: Thumbnails,
        put_back: Callable[[Entry, Document], None],
        draw_again: Callable[[Entry, Document, int | GenerationParams], None],
    ) -> None:
        self._view = view
        self._documents = documents
        self._send = send
        self._put_back = put_back
        self._draw_again = draw_again
        self._thumbnails = thumbnails
        self._of_groups: dict[str, Any] = {}  # what Krita gives, by group: making it takes time

    def look(self) -> None:
        """Show the pictures of the active document as they are now."""
        document = self._documents.active()
        entries = [] if document is None else [self._with_thumbnail(entry, document) for entry in document.history()]
        self._view.show_history(tuple(entries))

    # ---- intents -----------------------------------------------------------------------------------------------------

    def show(self, key: str) -> None:
        """Show a picture and hide the others; put it back if its group was deleted."""
        with RefusalsShown(self._view):
            document, entry = self._entry(key)
            if entry.there:
                document.show_picture(key)
                self.look()
            elif entry.submit is None:
                raise Refusal(
                    tr("An older version of the plugin drew this picture, and the server cannot be asked for it."),
                    tr("Use its prompts and seed to draw it again."),
                )
            else:
                self._put_back(entry, document)

    def again(self, key: str, seed: int) -> None:
        """Draw a picture again, with another seed or the same."""
        with RefusalsShown(self._view):
            document, entry = self._entry(key)
            self._draw_again(entry, document, seed)

    def again_with(self, params: GenerationParams) -> None:
        """Draw the selected picture again with the prompts, settings and seed of the docker's fields."""
        with RefusalsShown(self._view):
            document = self._documents.active()
            key = None if document is None else document.selected_picture()
            if key is None:
                raise Refusal(tr("No picture is selected."), tr("Select a group that was drawn, or press Generate."))
            document, entry = self._entry(key)
            self._draw_again(entry, document, params)

    def params(self, key: str) -> GenerationParams | None:
        """How a picture was drawn, for the docker's fields; None if it is not there any more."""
        with RefusalsShown(self._view):
            return params_of(self._entry(key)[1].values)
        return None

    def remove(self, key: str, from_server: bool = False) -> None:
        """Remove a picture from the list. Its layers stay in the document.

        Args:
            key: the picture.
            from_server: whether the server deletes its job, too, with prompts and pixels: nothing brings it back then.
        """
        with RefusalsShown(self._view):
            document, entry = self._entry(key)
            if from_server and entry.job is not None:
                if not self._thumbnails.asks:
                    raise Refusal(
                        tr("The server cannot be told to delete it now."), tr("Start the server, or update it.")
                    )
                self._send(Delete(job=entry.job))
                self._thumbnails.forget(entry.job)
            document.unlist_picture(key)
            self.look()

    def _entry(self, key: str) -> tuple[Document, Entry]:
        document = self._documents.active()
        entries = [] if document is None else document.history()
        found = next((entry for entry in entries if entry.key == key), None)
        if document is None or found is None:
            raise Refusal(tr("That picture is not in this document."))
        return document, found

    def _with_thumbnail(self, entry: Entry, document: Document) -> Entry:
        picture = None if entry.job is None else self._thumbnails.of(entry.job)
        if picture is not None:
            return replace(entry, thumbnail=picture)
        if entry.group is not None and entry.group not in self._of_groups:
            self._of_groups[entry.group] = document.thumbnail(entry.group)
        return replace(entry, thumbnail=None if entry.group is None else self._of_groups[entry.group])
