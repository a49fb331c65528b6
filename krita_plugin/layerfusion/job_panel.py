"""The lower part of the docker, which is always in sight: the job under way, notices and messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import layout
from .images import Picture
from .jobs import Remedy
from .qt import QtCore, QtWidgets
from .translation import tr
from .widgets import Notice, NoticeList, PreviewBox, push_button


class JobPanel(QtWidgets.QWidget):
    """Progress with Cancel and a preview, the notices about a picture, and the last message.

    Args:
        cancel: the slot of Cancel.
        remedied: makes a slot of a remedy's action.

    Attributes:
        cancel: the button.
    """

    def __init__(
        self, cancel: Callable[[Any], None], remedied: Callable[[Callable[[], object]], Callable[[Any], None]]
    ) -> None:
        super().__init__()
        self._words = QtWidgets.QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._bar = QtWidgets.QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._preview = PreviewBox()
        self.cancel = push_button(tr("Cancel"), tr("Stop drawing (Esc)"), cancel)
        self._job = layout.row(
            self._preview, layout.box(self._words, layout.row(self._bar, self.cancel, stretch=0)), stretch=1
        )
        self._notices = NoticeList()
        self._notice = Notice(remedied)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        for widget in (self._job, self._notices, self._notice):
            column.addWidget(widget)

    def show_job(self, words: str, step: int, total: int) -> None:
        self._words.setText(words)
        self._bar.setRange(0, total)
        self._bar.setValue(step)
        self._job.setVisible(True)

    def show_idle(self) -> None:
        self._job.setVisible(False)
        self._preview.clear()

    def show_preview(self, picture: Picture) -> None:
        self._preview.show_picture(picture)

    def note(self, text: str) -> None:
        self._notices.add(text)

    def show_message(self, message: str, hint: str, remedy: Remedy | None, warning: bool) -> None:
        self._notice.show_words(message, hint, warning, remedy)

    def clear(self) -> None:
        """Remove notices and message."""
        self._notice.clear()
        self._notices.clear()
