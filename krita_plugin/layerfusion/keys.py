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

    def eventFilter(self, a0: QtCore.QObject | None, a1: QtCore.QEvent | None) -> bool:
        if not isinstance(a1, QtGui.QKeyEvent) or a1.type() not in _SEEN:
            return False
        action = self._action(a1)
        if action is None:
            return False
        a1.accept()  # an accepted ShortcutOverride comes again as a key press and is no shortcut of Krita
        if a1.type() == QtCore.QEvent.Type.KeyPress:
            action(None)
        return True

    def _action(self, event: QtGui.QKeyEvent) -> Callable[[Any], None] | None:
        control = QtCore.Qt.KeyboardModifier.ControlModifier
        if event.modifiers() & control == control and event.key() in _ENTER:
            return self._generate
        return self._cancel if event.key() == QtCore.Qt.Key.Key_Escape else None
