"""Ctrl+Enter and Escape in all fields of the docker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .qt import QtCore, QtGui, QtWidgets

_SEEN = (QtCore.QEvent.Type.ShortcutOverride, QtCore.QEvent.Type.KeyPress)
_ENTER = (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)


class Keys(QtCore.QObject):
    """Meets keys before the fields and Krita's own shortcuts do. On macOS, Ctrl is the key ⌘.

    Args:
        watched: the widget; keys that any widget in it would get are met.
        generate: called at Ctrl+Enter.
        cancel: called at Escape.
    """

    def __init__(
        self, watched: QtWidgets.QWidget, generate: Callable[[Any], None], cancel: Callable[[Any], None]
    ) -> None:
        super().__init__(watched)
        self._generate, self._cancel = generate, cancel
        for widget in watched.findChildren(QtWidgets.QWidget):
            widget.installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() not in _SEEN or not isinstance(event, QtGui.QKeyEvent):
            return False
        action = self._action(event)
        if action is None:
            return False
        event.accept()  # an accepted ShortcutOverride comes again as a key press and is no shortcut of Krita
        if event.type() == QtCore.QEvent.Type.KeyPress:
            action(None)
        return True

    def _action(self, event: QtGui.QKeyEvent) -> Callable[[Any], None] | None:
        if event.key() in _ENTER and event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier:
            return self._generate
        return self._cancel if event.key() == QtCore.Qt.Key.Key_Escape else None
