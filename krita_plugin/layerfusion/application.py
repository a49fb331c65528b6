"""What there is once in a running Krita, however many windows it has: the controller, the link and their dockers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from krita import Krita

from . import document, preferences
from .controller import Controller
from .interfaces import View
from .job_store import JobStore
from .protocol import location
from .qt import Mailbox, QtCore, guarded
from .server_link import ServerLink
from .shortcuts import ACTIONS, action_id, caption
from .translation import tr
from .views import Views

STEP_PAUSE = 2
"""Milliseconds between two steps of long work, in which Krita handles what the artist does."""
LOOK_EVERY = 400
"""Milliseconds between two looks at which layer is active: Krita does not tell its plugins."""


class Application:
    """Starts with the first docker, and ends with Krita."""

    def __init__(self) -> None:
        self.views = Views()
        self._mailbox: Mailbox | None = None

    @property
    def controller(self) -> Controller:
        return self._controller

    def attach(self, docker: View) -> None:
        """Show everything in a docker from now on."""
        if self._mailbox is None:
            self._start()
        self.views.attach(docker)

    def change_language(self) -> None:
        """Show everything in the language that is chosen now."""
        captions = {name: caption(name) for name in ACTIONS} | {"show": tr("Show LayerFusion")}
        for name, text in captions.items():
            action = Krita.instance().action(action_id(name))
            action.setText(text)
            action.setToolTip(text)
        self.views.rebuild()
        self._controller.show_server()
        self._controller.look(anew=True)

    def guarded(self, action: Callable[[], object]) -> Callable[[Any], None]:
        """A Qt slot that runs `action`, and shows what goes wrong in it."""
        return guarded(lambda _: action(), self.views.warn)

    def later(self, action: Callable[[], None]) -> None:
        """Run `action` in a later turn of the event loop."""
        QtCore.QTimer.singleShot(STEP_PAUSE, self.guarded(action))

    def _start(self) -> None:
        mailbox = Mailbox(guarded(lambda event: self._controller.receive(event), self.views.warn))
        link = ServerLink(mailbox.post)
        self._mailbox = mailbox
        self._controller = Controller(self.views, document, link, mailbox.post, JobStore(), self.later)
        self.views.show_server(None, tr("Looking for the server…"))
        self._controller.take_left()
        Krita.instance().notifier().setActive(True)
        Krita.instance().notifier().applicationClosing.connect(self.guarded(link.stop))
        self._look = QtCore.QTimer()
        self._look.setInterval(LOOK_EVERY)
        self._look.timeout.connect(self.guarded(lambda: self._controller.look()))
        self._look.start()
        link.start()
        if preferences.starts_server() and location.read() is None:
            self._controller.start_server()
