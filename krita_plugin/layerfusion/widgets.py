"""The widgets of the docker. They use the colours of Krita's theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .images import Picture
from .jobs import Remedy
from .qt import QtCore, QtGui, QtWidgets

GOOD = QtGui.QColor(0x5D, 0xB0, 0x75)
WARNING = QtGui.QColor(0xE0, 0x8A, 0x2B)
NEUTRAL = QtGui.QColor(0x90, 0x90, 0x90)
PREVIEW_SIDE = 160
CHECK = 8
"""Side of a checkerboard's square. Both are in device-independent pixels."""
STEP = 5
"""The step of a slider, in percent."""


GROWS = 3
"""Lines by which a field for a prompt grows with its text."""


class PromptField(QtWidgets.QPlainTextEdit):
    """A field for a prompt of several lines, which grows with its text. The Tab key moves to the next field.

    Args:
        lines: number of visible lines while there is little text.
        description: for screen readers and the tooltip.

    Attributes:
        completes: whether completions are shown, of which Enter takes one.
    """

    completes: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, lines: int, description: str) -> None:
        super().__init__()
        self.setTabChangesFocus(True)
        self.setToolTip(description)
        self.setAccessibleName(description)
        self._lines = lines
        self.textChanged.connect(self._grow)
        self._grow()

    def resizeEvent(self, e: QtGui.QResizeEvent) -> None:
        """In another width the text has another number of lines."""
        super().resizeEvent(e)
        self._grow()

    def _grow(self) -> None:
        lines = round(self.document().size().height())  # Qt counts lines, and not pixels, in a field of plain text
        lines = max(self._lines, min(lines, self._lines + GROWS))
        frame = 2 * (self.frameWidth() + int(self.document().documentMargin()))
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + frame)

    def keyPressEvent(self, e: QtGui.QKeyEvent) -> None:
        """Qt's completer sends each key here first, past event filters, and does what is ignored."""
        if self.completes() and e.key() in (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter):
            e.ignore()
        else:
            super().keyPressEvent(e)


class StateLine(QtWidgets.QWidget):
    """A coloured dot and a short text."""

    def __init__(self) -> None:
        super().__init__()
        self._dot = QtWidgets.QLabel("●")
        self._words = QtWidgets.QLabel()
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._dot)
        row.addWidget(self._words, 1)

    def show_state(self, words: str, good: bool) -> None:
        self._words.setText(words)
        colour = GOOD if good else NEUTRAL
        self._dot.setStyleSheet(f"color: {colour.name()}")

    def text(self) -> str:
        return self._words.text()


class Notice(QtWidgets.QWidget):
    """A message and, below it, the remedy, with a button if the plugin can do it. Hidden if there is none.

    Args:
        remedied: makes a slot of a remedy's action; None for notices without remedies.
    """

    def __init__(self, remedied: Callable[[Callable[[], object]], Callable[[Any], None]] | None = None) -> None:
        super().__init__()
        self._remedied = remedied
        self._button: QtWidgets.QPushButton | None = None
        self._edge = QtWidgets.QFrame()
        self._edge.setFixedWidth(3)
        self._words = QtWidgets.QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(QtCore.Qt.TextFormat.PlainText)  # names of files and layers may look like HTML
        self._words.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 2, 0, 2)
        self._column = QtWidgets.QVBoxLayout()
        self._column.setSpacing(4)
        self._column.addWidget(self._words)
        row.addWidget(self._edge)
        row.addLayout(self._column, 1)
        self.setVisible(False)

    def show_words(self, message: str, hint: str, warning: bool, remedy: Remedy | None = None) -> None:
        self._remove_button()
        if remedy is not None and self._remedied is not None:
            self._button = push_button(remedy.label, hint, self._remedied(remedy.action))
            self._column.addWidget(self._button, 0, QtCore.Qt.AlignmentFlag.AlignLeft)
        self._edge.setStyleSheet(f"background-color: {(WARNING if warning else GOOD).name()}")
        self._words.setText(f"{message}\n{hint}" if hint else message)
        self.setVisible(True)

    def clear(self) -> None:
        self._remove_button()
        self.setVisible(False)

    def _remove_button(self) -> None:
        if self._button is not None:
            self._button.setVisible(False)  # because Qt deletes it only later: it may be the one that was pressed
            self._button.deleteLater()
            self._button = None


class NoticeList(QtWidgets.QWidget):
    """The notices about a picture, one below the other, each text once. Hidden if there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, Notice] = {}
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self.setVisible(False)

    def add(self, text: str) -> None:
        if text not in self._lines:
            line = self._lines[text] = Notice()
            self._column.addWidget(line)
            line.show_words(text, "", warning=True)
            self.setVisible(True)

    def clear(self) -> None:
        for line in self._lines.values():
            line.setVisible(False)  # because Qt deletes it only later
            self._column.removeWidget(line)
            line.deleteLater()
        self._lines = {}
        self.setVisible(False)


class PreviewBox(QtWidgets.QLabel):
    """A preview over a checkerboard, which makes transparency visible. Hidden if there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.setVisible(False)

    def show_picture(self, picture: Picture) -> None:
        self.setPixmap(checkered(image_of(picture), PREVIEW_SIDE, self.devicePixelRatioF()))
        self.setVisible(True)

    def clear(self) -> None:
        super().clear()
        self.setVisible(False)


class PercentSlider(QtWidgets.QWidget):
    """A slider in steps of 5 percent, and a field beside it in which any whole number of percent can be typed.

    Args:
        low, high, start: limits and first value in percent.
        description: for screen readers and the tooltip.
    """

    def __init__(self, low: int, high: int, start: int, description: str) -> None:
        super().__init__()
        slider, self._field = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal), QtWidgets.QSpinBox()
        for part in (slider, self._field):
            part.setRange(low, high)
            part.setSingleStep(STEP)
            part.setAccessibleName(description)
            part.setToolTip(description)
        slider.setPageStep(STEP)
        self._field.setSuffix(" %")
        self._field.setButtonSymbols(QtWidgets.QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setToolTip(description)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(slider, 1)
        row.addWidget(self._field)
        self._field.valueChanged.connect(slider.setValue)
        slider.valueChanged.connect(lambda value: self._follow(slider, value))
        self._field.setValue(start)

    def _follow(self, slider: QtWidgets.QSlider, value: int) -> None:
        if slider.isSliderDown():  # where the mouse is, may lie between two steps
            value = STEP * round(value / STEP)
        self._field.setValue(value)

    def set_fraction(self, value: float) -> None:
        self._field.setValue(round(100 * value))

    def fraction(self) -> float:
        """The value as a fraction, 0 to 1, with two decimals."""
        return self._field.value() / 100


class Fold(QtWidgets.QWidget):
    """A section with a title and an arrow, which shows or hides its widgets. They are hidden at first."""

    def __init__(self, title: str, content: Sequence[QtWidgets.QWidget]) -> None:
        super().__init__()
        self._button = QtWidgets.QToolButton()
        self._button.setText(title)
        self._button.setCheckable(True)
        self._button.setAutoRaise(True)
        self._button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._content = QtWidgets.QWidget()
        inside = QtWidgets.QVBoxLayout(self._content)
        inside.setContentsMargins(0, 0, 0, 0)
        for widget in content:
            inside.addWidget(widget)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._button)
        column.addWidget(self._content)
        self._button.toggled.connect(self._unfold)
        self._unfold(False)

    def _unfold(self, open_: bool) -> None:
        arrow = QtCore.Qt.ArrowType.DownArrow if open_ else QtCore.Qt.ArrowType.RightArrow
        self._button.setArrowType(arrow)
        self._content.setVisible(open_)


def image_of(picture: Picture) -> QtGui.QImage:
    """BGRA pixels as Qt's image. It calls this format ARGB32 on little-endian machines; Krita runs on no others."""
    width, height = picture.width, picture.height
    return QtGui.QImage(picture.data, width, height, 4 * width, QtGui.QImage.Format.Format_ARGB32)


def checkered(image: QtGui.QImage, side: int, ratio: float) -> QtGui.QPixmap:
    """A picture over a checkerboard, which makes transparency visible.

    Args:
        image: the picture; it is scaled to fit.
        side: length of the longer side in device-independent pixels.
        ratio: pixels of the screen in one of those.
    """
    whole = round(side * ratio)
    scaled = image.scaled(
        whole,
        whole,
        QtCore.Qt.AspectRatioMode.KeepAspectRatio,
        QtCore.Qt.TransformationMode.SmoothTransformation,
    )
    board = QtGui.QPixmap(scaled.size())
    painter = QtGui.QPainter(board)
    check = max(1, round(CHECK * ratio))
    for top in range(0, board.height(), check):
        for left in range(0, board.width(), check):
            shade = 0x99 if (top + left) // check % 2 else 0x66
            painter.fillRect(left, top, check, check, QtGui.QColor(shade, shade, shade))
    painter.drawImage(0, 0, scaled)
    painter.end()
    board.setDevicePixelRatio(ratio)
    return board


def push_button(text: str, description: str, slot: Callable[[Any], None]) -> QtWidgets.QPushButton:
    """A button with a text. `slot` must not raise."""
    button = QtWidgets.QPushButton(text)
    button.setToolTip(description)
    button.clicked.connect(slot)
    return button


def tool(icon: QtGui.QIcon, description: str, slot: Callable[[Any], None]) -> QtWidgets.QToolButton:
    """A button with an icon. `slot` must not raise."""
    button = QtWidgets.QToolButton()
    button.setIcon(icon)
    button.setAutoRaise(True)
    button.setToolTip(description)
    button.setAccessibleName(description)
    button.clicked.connect(slot)
    return button


def arrow_button(arrow: QtCore.Qt.ArrowType, description: str, slot: Callable[[Any], None]) -> QtWidgets.QToolButton:
    """A button with an arrow. `slot` must not raise."""
    button = tool(QtGui.QIcon(), description, slot)
    button.setArrowType(arrow)
    return button


def die_icon(colour: QtGui.QColor) -> QtGui.QIcon:
    """An icon of a die that shows five, large enough for screens of high resolution."""
    pixmap = QtGui.QPixmap(64, 64)
    pixmap.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(pixmap)
    painter.scale(2, 2)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.setPen(QtGui.QPen(colour, 2.5))
    painter.drawRoundedRect(4, 4, 24, 24, 5, 5)
    painter.setBrush(colour)
    painter.setPen(QtCore.Qt.PenStyle.NoPen)
    for x, y in ((10, 10), (22, 10), (16, 16), (10, 22), (22, 22)):
        painter.drawEllipse(QtCore.QPointF(x, y), 2.4, 2.4)
    painter.end()
    return QtGui.QIcon(pixmap)
