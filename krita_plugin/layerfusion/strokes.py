"""Tells whether the artist is in the middle of a stroke, which nothing here may cut.

Adding a layer, making another one active and `refreshProjection` end what the artist is doing: Krita 5.1 to 6 take the
stroke that is being painted as finished, let go of the layer that is being dragged, and apply the transformation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from krita import Krita

from .qt import QtCore, QtGui, QtWidgets

MOVE = "KritaTransform/KisToolMove"
"""The tool that goes on with its stroke when the layer is dropped, until another tool is used."""
DROPPED = 1.0
"""Seconds for which the pointer has rested when a layer counts as dropped; Krita tells its plugins of no pen."""
PATIENCE = 60
"""Seconds after which a result is added all the same. An artist may leave a tool for transformations for hours."""
LOOK_EVERY = 100
"""Milliseconds between two looks."""


class Stroke:
    """What the artist is doing to a document.

    Args:
        document: Krita's document.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._pointer: QtCore.QPoint | None = None
        self._since = 0.0

    def going_on(self) -> bool:
        """Whether Krita has begun a stroke in the document and not ended it, or a dialog waits for an answer.

        The dialog may be about closing the document.
        """
        pointer = QtGui.QCursor.pos()
        if pointer != self._pointer:
            self._pointer, self._since = pointer, time.monotonic()
        if self._document.rootNode() is None:
            return False
        if QtWidgets.QApplication.activeModalWidget() is not None:
            return True
        if self._document.tryBarrierLock():
            self._document.unlock()
            return False
        pressed = QtWidgets.QApplication.mouseButtons() != QtCore.Qt.MouseButton.NoButton
        return pressed or time.monotonic() - self._since < DROPPED or not _is_chosen(MOVE)

    def until_over(self) -> Iterator[None]:
        """Yields until the artist has finished, but not longer than `PATIENCE`."""
        began = looked = time.monotonic()
        while self.going_on() and time.monotonic() - began < PATIENCE:
            while time.monotonic() - looked < LOOK_EVERY / 1000:
                yield  # looking takes Krita's lock, which the brush needs
            looked = time.monotonic()

    def afterwards(self, action: Callable[[], object]) -> None:
        """Run `action` when the artist has finished: now, or later."""
        if self.going_on():
            QtCore.QTimer.singleShot(LOOK_EVERY, lambda: self.afterwards(action))
        else:
            action()


def _is_chosen(tool: str) -> bool:
    """Whether a tool is pressed in the toolbox; Krita tells it in no other way."""
    boxes = [docker for docker in Krita.instance().dockers() if docker.objectName() == "ToolBox"]
    buttons = [button for box in boxes for button in box.findChildren(QtWidgets.QToolButton)]
    return any(button.objectName() == tool and button.isChecked() for button in buttons)
