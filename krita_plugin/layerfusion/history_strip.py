"""A row of thumbnails of the pictures that were drawn into the document, the newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .history_entry import Entry
from .images import Picture
from .qt import QtCore, QtGui, QtWidgets
from .text import about_picture
from .translation import tr
from .widgets import checkered, image_of

SIDE = 56
"""The longer side of a thumbnail, in device-independent pixels."""
FRAME = 3
"""Width of the frame around the picture that is seen, in device-independent pixels."""
GONE = 0.45
"""Opacity of a picture whose group was deleted."""
KEY = QtCore.Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class StripIntents:
    """What the strip calls, each with the key of a picture.

    Attributes:
        show: show this picture and hide the others.
        use_prompts, use_seed: fill them in.
        again: draw it again; the second argument says whether with another seed.
        remove: remove it from the list; the second argument says whether the server deletes it, too.
    """

    show: Callable[[str], object]
    use_prompts: Callable[[str], object]
    use_seed: Callable[[str], object]
    again: Callable[[str, bool], object]
    remove: Callable[[str, bool], object]


class HistoryStrip(QtWidgets.QListWidget):
    """Hidden while there are no pictures. A click or Enter shows a picture; the context menu has the rest.

    Args:
        intents: what it calls.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.
    """

    def __init__(self, intents: StripIntents, guarded: Callable[[Callable[[], object]], Callable[[Any], None]]) -> None:
        super().__init__()
        self._intents = intents
        self._guarded = guarded
        self._shown: tuple[Entry, ...] = ()
        self.setObjectName("layerfusion_history")
        self.setAccessibleName(tr("History"))
        self.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        self.setFlow(QtWidgets.QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setMovement(QtWidgets.QListView.Movement.Static)
        self.setIconSize(QtCore.QSize(SIDE, SIDE))
        self.setSpacing(1)
        self.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.horizontalScrollBar().rangeChanged.connect(lambda *_: self._fit())
        self._fit()
        self.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)
        self.itemClicked.connect(self._show)
        self.itemActivated.connect(self._show)
        self.setItemDelegate(Unmarked(self))
        self.setVisible(False)

    def show_entries(self, entries: tuple[Entry, ...]) -> None:
        """Show these pictures. Nothing happens if they are those that are shown."""
        self.setVisible(bool(entries))
        if entries == self._shown:
            return
        self._shown = entries
        at = self.horizontalScrollBar().value()
        self.clear()
        for entry in entries:
            item = QtWidgets.QListWidgetItem(QtGui.QIcon(self._picture(entry)), "")
            item.setSizeHint(QtCore.QSize(SIDE + 2 * FRAME, SIDE + 2 * FRAME))
            item.setData(KEY, entry.key)
            item.setToolTip(_about(entry))
            item.setData(QtCore.Qt.ItemDataRole.AccessibleTextRole, entry.title)
            self.addItem(item)
            if entry.seen:
                self.setCurrentItem(item)
        self.horizontalScrollBar().setValue(at)

    def _fit(self) -> None:
        """Take room for the scroll bar only if there is one: a docker is low."""
        bar = self.horizontalScrollBar()
        below = bar.sizeHint().height() if bar.maximum() > 0 else 0
        self.setFixedHeight(SIDE + 2 * FRAME + 6 + below)

    def by_model(self) -> dict[str, QtGui.QIcon]:
        """The newest picture that each model has drawn: name of the model -> picture."""
        drawn = [entry for entry in reversed(self._shown) if entry.thumbnail is not None]
        return {str(entry.values.get("model", "")): QtGui.QIcon(self._picture(entry)) for entry in drawn}

    def menu_of(self, key: str) -> QtWidgets.QMenu:
        """The context menu of a picture."""
        intents, menu = self._intents, QtWidgets.QMenu(self)
        there = any(entry.key == key and entry.there for entry in self._shown)
        self._add(menu, tr("Show this picture") if there else tr("Put it back"), lambda: intents.show(key))
        menu.addSeparator()
        self._add(menu, tr("Draw it again with another seed"), lambda: intents.again(key, True))
        self._add(menu, tr("Draw it again as it is"), lambda: intents.again(key, False))
        menu.addSeparator()
        self._add(menu, tr("Use its prompts and settings"), lambda: intents.use_prompts(key))
        self._add(menu, tr("Use its seed"), lambda: intents.use_seed(key))
        menu.addSeparator()
        self._add(menu, tr("Remove from the history"), lambda: intents.remove(key, False))
        self._add(menu, tr("Remove, and delete on the server"), lambda: intents.remove(key, True))
        return menu

    def keyPressEvent(self, e: QtGui.QKeyEvent) -> None:
        """Delete removes the selected picture from the list."""
        item = self.currentItem()
        if e.key() == QtCore.Qt.Key.Key_Delete and item is not None:
            self._guarded(lambda: self._intents.remove(item.data(KEY), False))(None)
        else:
            super().keyPressEvent(e)

    def _show(self, item: QtWidgets.QListWidgetItem) -> None:
        key = item.data(KEY)  # the list may be filled anew while it is shown
        self._guarded(lambda: self._intents.show(key))(None)

    def _open_menu(self, place: QtCore.QPoint) -> None:
        item = self.itemAt(place)
        if item is not None:
            self.menu_of(item.data(KEY)).popup(self.mapToGlobal(place))

    def _add(self, menu: QtWidgets.QMenu, text: str, action: Callable[[], object]) -> None:
        menu.addAction(text).triggered.connect(self._guarded(action))

    def _picture(self, entry: Entry) -> QtGui.QPixmap:
        ratio = self.devicePixelRatioF()
        if entry.thumbnail is None:
            blank = QtGui.QPixmap(round(SIDE * ratio), round(SIDE * ratio))
            blank.setDevicePixelRatio(ratio)
            blank.fill(self.palette().color(QtGui.QPalette.ColorRole.Mid))
            return blank
        image = image_of(entry.thumbnail) if isinstance(entry.thumbnail, Picture) else entry.thumbnail
        picture = checkered(image, SIDE, ratio)
        if entry.seen:
            _frame(picture, self.palette().color(QtGui.QPalette.ColorRole.Highlight))
        return picture if entry.there else _faded(picture)


class Unmarked(QtWidgets.QStyledItemDelegate):
    """Draws items without the mark of the selected one: the frame says which picture is seen."""

    def initStyleOption(self, option: QtWidgets.QStyleOptionViewItem, index: QtCore.QModelIndex) -> None:
        super().initStyleOption(option, index)
        # PyQt5's stubs do not know that flags stay flags
        option.state &= ~QtWidgets.QStyle.StateFlag.State_Selected  # pyright: ignore[reportAttributeAccessIssue]


def _frame(picture: QtGui.QPixmap, colour: QtGui.QColor) -> None:
    painter = QtGui.QPainter(picture)
    pen = QtGui.QPen(colour, 2 * FRAME)  # half of it lies outside
    pen.setJoinStyle(QtCore.Qt.PenJoinStyle.MiterJoin)
    painter.setPen(pen)
    ratio = picture.devicePixelRatioF()
    painter.drawRect(QtCore.QRectF(0, 0, picture.width() / ratio, picture.height() / ratio))
    painter.end()


def _faded(picture: QtGui.QPixmap) -> QtGui.QPixmap:
    faded = QtGui.QPixmap(picture.size())
    faded.setDevicePixelRatio(picture.devicePixelRatioF())
    faded.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(faded)
    painter.setOpacity(GONE)
    painter.drawPixmap(0, 0, picture)
    painter.end()
    return faded


def _about(entry: Entry) -> str:
    hint = "" if entry.there else "\n" + tr("Its group was deleted. Click to put it back.")
    return about_picture(entry.title, entry.values) + hint
