"""The fields for further foregrounds, each with a prompt, a seed and a place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import layout
from .interfaces import OtherForeground, Region
from .qt import QtCore, QtGui, QtWidgets
from .settings import MOST_OTHERS
from .translation import tr
from .widgets import PromptField, push_button, tool


class OtherForegrounds(QtWidgets.QWidget):
    """The fields of further foregrounds, and a button that adds those for one more.

    Args:
        selected_region: gives the selection; None if the artist was told that there is none.
        guarded: makes a Qt slot of an action, and shows what goes wrong in it.

    Attributes:
        add: the button, which is shown elsewhere.
    """

    changed = QtCore.pyqtSignal()
    """The artist has changed a field."""

    def __init__(
        self,
        selected_region: Callable[[], Region | None],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__()
        self._most = MOST_OTHERS
        # all are made at once, so that they are in the keyboard's order and the docker's keys work in them
        self._rows = [_Row(number, selected_region, guarded) for number in range(2, MOST_OTHERS + 2)]
        self.add = push_button(
            tr("Add another foreground"),
            tr("Draw one more object, with a prompt, a seed and a place of its own"),
            guarded(self._show_next),
        )
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for row in self._rows:
            column.addWidget(row)
            row.changed.connect(self._tell)
            row.setVisible(False)
        self._update()

    def limit(self, most: int) -> None:
        """Offer so many further foregrounds at most, because the server draws no more."""
        self._most = min(most, MOST_OTHERS)
        self._update()

    def values(self) -> tuple[OtherForeground, ...]:
        """Those with a prompt."""
        shown = [row.value() for row in self._rows if not row.isHidden()]
        return tuple(value for value in shown if value.prompt)

    def fill(self, values: tuple[OtherForeground, ...]) -> None:
        if values == self.values():
            return  # a row with an empty prompt is being filled in
        for index, row in enumerate(self._rows):
            row.fill(values[index] if index < len(values) else OtherForeground(""))
            row.setVisible(index < len(values))
        self._update()

    def _show_next(self) -> None:
        row = next((row for row in self._rows if row.isHidden()), None)
        if row is not None:
            row.setVisible(True)
            row.begin()
        self._update()

    def _tell(self) -> None:
        self._update()
        self.changed.emit()

    def _update(self) -> None:
        shown = sum(not row.isHidden() for row in self._rows)
        self.add.setVisible(shown < self._most)
        self.setVisible(shown > 0)


class _Row(QtWidgets.QWidget):
    changed = QtCore.pyqtSignal()

    def __init__(
        self,
        number: int,
        selected_region: Callable[[], Region | None],
        guarded: Callable[[Callable[[], object]], Callable[[Any], None]],
    ) -> None:
        super().__init__()
        self._selected_region = selected_region
        self._region: Region | None = None
        self._prompt = PromptField(2, tr("What foreground {number} shows", number=number))
        self._prompt.textChanged.connect(self.changed)
        self._seed = QtWidgets.QLineEdit()
        self._seed.setPlaceholderText(tr("seed of the picture"))
        self._seed.setToolTip(
            tr("The seed of foreground {number}; if empty, it is made from that of the picture", number=number)
        )
        self._seed.setValidator(QtGui.QRegularExpressionValidator(QtCore.QRegularExpression("[0-9]{0,15}")))
        self._seed.textEdited.connect(self.changed)
        self._place = push_button("", "", guarded(self._choose_place))
        close = QtWidgets.QApplication.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_DockWidgetCloseButton)
        remove = tool(close, tr("Do not draw foreground {number}", number=number), guarded(self._remove))
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(layout.labelled(tr("Foreground {number}", number=number), self._prompt))
        column.addWidget(layout.row(self._seed, self._place, remove, stretch=0))
        self._show_place()

    def begin(self) -> None:
        """Let the artist type."""
        self._prompt.setFocus(QtCore.Qt.FocusReason.OtherFocusReason)

    def value(self) -> OtherForeground:
        seed = self._seed.text()
        box, shape = (None, None) if self._region is None else (self._region.box, self._region.shape)
        return OtherForeground(self._prompt.toPlainText().strip(), int(seed) if seed else None, box, shape)

    def fill(self, value: OtherForeground) -> None:
        self._prompt.setPlainText(value.prompt)
        self._seed.setText("" if value.seed is None else str(value.seed))
        self._region = None if value.box is None else Region(value.box, value.shape)
        self._show_place()

    def _choose_place(self) -> None:
        """Take the place of the selection; a second press leaves the place to the model again."""
        region = None if self._region is not None else self._selected_region()
        if region != self._region:
            self._region = region
            self._show_place()
            self.changed.emit()

    def _remove(self) -> None:
        self.fill(OtherForeground(""))
        self.setVisible(False)
        self.changed.emit()

    def _show_place(self) -> None:
        if self._region is None:
            self._place.setText(tr("Place…"))
            self._place.setToolTip(tr("Draw it in the selection, whatever its shape"))
        else:
            x, y, width, height = self._region.box
            self._place.setText(tr("{width}x{height} at {x}, {y}", width=width, height=height, x=x, y=y))
            self._place.setToolTip(tr("It is drawn here. Press to leave the place to the model"))
