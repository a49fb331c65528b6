"""The list of the jobs that come after the first one, each with a picture and buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .images import Picture
from .interfaces import Waiting
from .qt import QtCore, QtGui, QtWidgets
from .translation import tr
from .widgets import arrow_button, checkered, image_of, tool

SIDE = 32
"""Longer side of a picture, in device-independent pixels."""
MOST_ROWS = 3
"""Rows that are visible without scrolling."""

Guarded = Callable[[Callable[[], object]], Callable[[Any], None]]


class QueueList(QtWidgets.QScrollArea):
    """Hidden if no job waits.

    Args:
        earlier: called with the id of a job that is to be drawn earlier.
        cancel: called with the id of a job that is not to be drawn.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    def __init__(self, earlier: Callable[[str], object], cancel: Callable[[str], object], guarded: Guarded) -> None:
        super().__init__()
        self._earlier = earlier
        self._cancel = cancel
        self._guarded = guarded
        self._rows: list[_Row] = []
        self.setObjectName("layerfusion_queue")
        self.setAccessibleName(tr("Waiting pictures"))
        self.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content = QtWidgets.QWidget()
        self._column = QtWidgets.QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addStretch(1)
        self.setWidget(content)
        self.setVisible(False)

    def show_waiting(self, waiting: tuple[Waiting, ...]) -> None:
        """Show these jobs. Rows stay what they are as long as the jobs are the same, so that a click meets its row."""
        if [row.job for row in self._rows] != [each.job for each in waiting]:
            self._make_rows(waiting)
        for row, each in zip(self._rows, waiting, strict=True):
            row.show_waiting(each)

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(super().sizeHint().width(), self.maximumHeight())

    def _make_rows(self, waiting: tuple[Waiting, ...]) -> None:
        for row in self._rows:
            row.setVisible(False)  # because Qt deletes it only later
            self._column.removeWidget(row)
            row.deleteLater()
        self._rows = [_Row(each.job, self._earlier, self._cancel, self._guarded) for each in waiting]
        for index, row in enumerate(self._rows):
            self._column.insertWidget(index, row)
        if self._rows:
            row = self._rows[0].sizeHint().height() + self._column.spacing()
            self.setMinimumHeight(row)  # of a low docker, it takes no more
            self.setMaximumHeight(row * min(len(self._rows), MOST_ROWS))
        self.setVisible(bool(self._rows))
        self.updateGeometry()


class _Row(QtWidgets.QWidget):
    def __init__(
        self, job: str, earlier: Callable[[str], object], cancel: Callable[[str], object], guarded: Guarded
    ) -> None:
        super().__init__()
        self.job = job
        self._picture: Picture | None = None
        self._thumbnail = QtWidgets.QLabel()
        self._thumbnail.setFixedSize(SIDE, SIDE)
        self._words = QtWidgets.QLabel()
        self._words.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._words.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
        self._earlier = arrow_button(
            QtCore.Qt.ArrowType.UpArrow, tr("Draw this picture earlier"), guarded(lambda: earlier(job))
        )
        close = QtWidgets.QApplication.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DockWidgetCloseButton)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(self._thumbnail)
        line.addWidget(self._words, 1)
        line.addWidget(self._earlier)
        line.addWidget(tool(close, tr("Do not draw this picture"), guarded(lambda: cancel(job))))

    def show_waiting(self, waiting: Waiting) -> None:
        self._words.setText(f"{waiting.title}\n{waiting.words}")
        place = [] if waiting.document is None else [tr("for “{document}”", document=waiting.document)]
        self.setToolTip("\n".join((waiting.title, *place, waiting.words)))
        self._earlier.setEnabled(waiting.movable)
        if waiting.picture is not self._picture or self._thumbnail.pixmap() is None:
            self._picture = waiting.picture
            self._thumbnail.setPixmap(self._image(waiting.picture))

    def _image(self, picture: Picture | None) -> QtGui.QPixmap:
        if picture is not None:
            return checkered(image_of(picture), SIDE, self.devicePixelRatioF())
        blank = QtGui.QPixmap(SIDE, SIDE)
        blank.fill(self.palette().color(QtGui.QPalette.ColorRole.Mid))
        return blank
