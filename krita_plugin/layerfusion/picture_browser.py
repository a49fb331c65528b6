"""The window with all pictures that the server keeps for the user. A click takes one into the document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .history_strip import Unmarked
from .interfaces import Stored
from .qt import QtCore, QtGui, QtWidgets
from .translation import tr
from .widgets import checkered, image_of, push_button

SIDE = 96
"""The longer side of a picture, in device-independent pixels."""
CELL = QtCore.QSize(SIDE + 20, SIDE + 40)
"""Room for a picture and its title."""
FIRST_SIZE = QtCore.QSize(620, 520)
KEY = QtCore.Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class BrowserIntents:
    """What the window calls.

    Attributes:
        take: take a picture, named by its job, into the document.
        more: show older pictures, too.
        close: the window was closed.
    """

    take: Callable[[str], object]
    more: Callable[[], object]
    close: Callable[[], object]


class PictureBrowser(QtWidgets.QDialog):
    """It stays open beside Krita's window, so that several pictures can be taken one after the other.

    Args:
        parent: the docker.
        intents: what it calls.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    def __init__(
        self,
        parent: QtWidgets.QWidget,
        intents: BrowserIntents,
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__(parent)
        self._intents = intents
        self._guarded = guarded
        self._shown: tuple[Stored, ...] | None = None
        self._items: list[QtWidgets.QListWidgetItem] = []  # one for each that is shown
        self.setWindowTitle(tr("Your pictures"))
        self.setObjectName("layerfusion_pictures")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        self._list = QtWidgets.QListWidget()
        self._list.setAccessibleName(tr("Your pictures"))
        self._list.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self._list.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        self._list.setMovement(QtWidgets.QListView.Movement.Static)
        self._list.setIconSize(QtCore.QSize(SIDE, SIDE))
        self._list.setGridSize(CELL)
        self._list.setTextElideMode(QtCore.Qt.TextElideMode.ElideRight)
        self._list.setVerticalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._list.setItemDelegate(Unmarked(self._list))
        self._list.itemClicked.connect(self._take)
        self._list.itemActivated.connect(self._take)
        self._words = QtWidgets.QLabel()
        self._words.setWordWrap(True)
        self._more = push_button(tr("Older pictures"), tr("Show older pictures, too"), guarded(intents.more))
        self._more.setAutoDefault(False)
        self._more.setVisible(False)
        column = QtWidgets.QVBoxLayout(self)
        for widget in (self._words, self._list, self._more):
            column.addWidget(widget)
        self.resize(FIRST_SIZE)
        self.finished.connect(guarded(intents.close))
        self._say()

    def show_stored(self, pictures: tuple[Stored, ...], more: bool) -> None:
        """Show these pictures, the newest first.

        Args:
            pictures: the pictures.
            more: whether there may be older ones.
        """
        self._more.setVisible(more)
        if pictures == self._shown:
            return
        before = {} if self._shown is None else {each.job: each for each in self._shown}
        known = [item.data(KEY) for item in self._items]
        if known != [each.job for each in pictures][: len(known)]:
            self._list.clear()
            self._items, before = [], {}
        for row, each in enumerate(pictures):
            if row >= len(self._items):
                self._items.append(QtWidgets.QListWidgetItem())
                self._list.addItem(self._items[row])
            if each != before.get(each.job):
                self._fill(self._items[row], each)
        self._shown = pictures
        self._say()

    def _say(self) -> None:
        if self._shown is None:
            self._words.setText(tr("Looking for your pictures…"))
        elif self._shown:
            self._words.setText(tr("From the studio, other documents and the command line. Click to take one over."))
        else:
            self._words.setText(tr("There are no pictures yet."))

    def _fill(self, item: QtWidgets.QListWidgetItem, picture: Stored) -> None:
        item.setData(KEY, picture.job)
        item.setText(picture.title)
        item.setSizeHint(CELL)
        item.setToolTip(_about(picture))
        item.setIcon(QtGui.QIcon(self._image(picture)))
        font = item.font()
        font.setBold(picture.there)
        item.setFont(font)

    def _image(self, picture: Stored) -> QtGui.QPixmap:
        """The picture in the middle of a square, so that all titles of a row have the same height."""
        ratio = self.devicePixelRatioF()
        square = QtGui.QPixmap(round(SIDE * ratio), round(SIDE * ratio))
        square.setDevicePixelRatio(ratio)
        if picture.thumbnail is None:
            square.fill(self.palette().color(QtGui.QPalette.ColorRole.Mid))
            return square
        square.fill(QtCore.Qt.GlobalColor.transparent)
        image = checkered(image_of(picture.thumbnail), SIDE, ratio)
        painter = QtGui.QPainter(square)
        left, top = (SIDE - image.width() / ratio) / 2, (SIDE - image.height() / ratio) / 2
        painter.drawPixmap(QtCore.QPointF(left, top), image)
        painter.end()
        return square

    def _take(self, item: QtWidgets.QListWidgetItem) -> None:
        job = item.data(KEY)
        self._guarded(lambda: self._intents.take(job))(None)


def _about(picture: Stored) -> str:
    made = QtCore.QDateTime.fromSecsSinceEpoch(int(picture.made))
    when = QtCore.QLocale().toString(made, QtCore.QLocale.FormatType.ShortFormat)
    width, height = picture.size
    lines = [picture.title, f"{width}x{height} px · {when}"]
    if picture.there:
        lines.append(tr("It is in this document. Click to show it."))
    return "\n".join(lines)
