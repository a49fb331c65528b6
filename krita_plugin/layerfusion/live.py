"""Live: while the artist moves or paints a layer of a group, its Shadow and Light follow.

One small job is drawn at a time, always of what is there now; what happened meanwhile makes the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from . import actions
from .interfaces import Document, Documents, GenerationParams, Preview, View
from .jobs import ArrivedLayer, Refusal
from .protocol.messages import Accepted, Cancel, Cancelled, Delete, Done, Failed, Submit, Welcome
from .refusals import RefusalsShown
from .server_link import ServerLink
from .server_words import told
from .translation import tr

LONGER_SIDE = 512
"""Pixels of the longer side at which it is drawn (our choice): Shadow and Light are soft."""
PRESET = "fast"


class Live:
    """Follows one group of one document at a time.

    Args:
        view: the docker.
        documents: Krita's open documents.
        link: the connection to the server.
        welcome: gives the greeting of the server; None while there is no connection.
    """

    def __init__(
        self, view: View, documents: Documents, link: ServerLink, welcome: Callable[[], Welcome | None]
    ) -> None:
        self._view = view
        self._documents = documents
        self._link = link
        self._welcome = welcome
        self._preview: Preview | None = None
        self._params: GenerationParams | None = None
        self._drawn: object | None = None  # what the last job was drawn from
        self._submit: Submit | None = None
        self._layers: list[ArrivedLayer] = []
        self._to_show: tuple[int, int] | None = None  # the size of the picture whose layers are not shown yet
        self._began = 0.0

    def begin(self, params: GenerationParams) -> None:
        """Let Shadow and Light of the selected group, else of the one that is seen, follow from now on."""
        with RefusalsShown(self._view):
            self.end()
            if self._welcome() is None:
                raise Refusal(tr("No server is running."), tr("Press Start server."))
            document = self._documents.active()
            if document is None:
                raise Refusal(tr("No document is open."), tr("Open one with a picture that was drawn."))
            self._preview, self._params, self._drawn, self._to_show = document.preview(), params, None, None
            self._view.show_live(True)
            self.tick()
            return
        self._view.show_live(False)

    def end(self) -> None:
        """Remove the preview. The document is as it was before, except for what the artist has done."""
        preview, submit = self._preview, self._submit
        self._preview = self._submit = None
        if submit is not None:
            self._link.send(Cancel(job=submit.job))
        if preview is not None:
            preview.end()
            self._view.show_live(False)

    def tick(self) -> None:
        """Show what was drawn, and draw what has changed, unless something is being drawn. Called often.

        While the artist's pen is down, nothing is shown or begun.
        """
        preview, document = self._preview, self._documents.active()
        if preview is None or document is None or document.id != preview.id or preview.waits():
            return
        seen = preview.look()
        if seen is None:
            self.end()
        elif preview.touched():
            self.end()
            self._view.warn(
                tr("You have changed Shadow or Light, so Live has ended."),
                tr("They stay as they are now. Press Harmonise to draw them in full."),
            )
        else:
            self._show(preview)
            if seen != self._drawn and self._submit is None:
                self._drawn = seen
                with RefusalsShown(self._view):
                    self._draw(document, preview)
                    return
                self.end()

    def receive(self, event: object) -> bool:
        """Take an event if it is about the job of the preview."""
        submit = self._submit
        job = event.begin.job if isinstance(event, ArrivedLayer) else getattr(event, "job", None)
        if submit is None or job != submit.job:
            return False
        match event:
            case ArrivedLayer():
                self._layers.append(event)
            case Done() if self._preview is not None:
                self._submit, self._to_show = None, (submit.width, submit.height)
                self._link.send(Delete(job=submit.job))
                self.tick()
            case Cancelled():
                self._submit = None
            case Failed():
                self._submit = None
                self.end()
                self._view.warn(*told(event))
            case Accepted():
                pass  # its notices are those of the picture
        return True

    def _show(self, preview: Preview) -> None:
        """Show the layers that were drawn last, if they are not shown yet."""
        size, self._to_show = self._to_show, None
        if size is not None:
            preview.show(self._layers, size)
            behind = time.monotonic() - self._began
            self._view.say(tr("Shadow and Light follow, {seconds:.1f} s behind.", seconds=behind))

    def _draw(self, document: Document, preview: Preview) -> None:
        welcome, params = self._welcome(), self._params
        if welcome is None or params is None:
            raise Refusal(tr("The server is gone, so Live has ended."))
        width, height = actions.size_to_draw(document.size, welcome.limits)
        part = min(1.0, LONGER_SIDE / max(width, height))
        size = max(1, round(part * width)), max(1, round(part * height))
        quick = replace(params, preset=PRESET, steps=None, pictures=1, blended="")
        action = actions.harmonise(document, quick, preview.choice, size)
        submit = replace(action.submit(size, quick, welcome.models[0].name), passing=True)
        actions.check_server(submit, welcome.protocol)
        self._submit, self._layers, self._began = submit, [], time.monotonic()
        self._link.submit(submit, tuple(layer.picture for layer in action.artists))
