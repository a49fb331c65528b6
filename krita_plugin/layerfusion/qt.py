"""Qt as this Krita has it: PyQt5 up to Krita 5, PyQt6 from Krita 6 on. Everything else imports Qt from here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # against one of the two, since a class cannot inherit from either
    from PyQt5 import QtCore, QtGui, QtWidgets
else:
    try:
        from PyQt5 import QtCore, QtGui, QtWidgets
    except ImportError:  # Krita 6 makes importing PyQt5 an error
        from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["Mailbox", "QtCore", "QtGui", "QtWidgets", "guarded"]

logger = logging.getLogger(__name__)


class Mailbox(QtCore.QObject):
    """Takes values from any thread and hands them over, in order, on the thread it was made in.

    Args:
        receive: called on that thread; its exceptions are for `guarded` to catch.
    """

    _posted = QtCore.pyqtSignal(object)

    def __init__(self, receive: Callable[[Any], None]) -> None:
        super().__init__()
        queued = QtCore.Qt.ConnectionType.QueuedConnection
        self._posted.connect(receive, queued)  # pyright: ignore[reportCallIssue]  # PyQt5's stubs know one argument

    def post(self, value: object) -> None:
        self._posted.emit(value)


def guarded(action: Callable[[Any], object], report: Callable[[str], None]) -> Callable[[Any], None]:
    """A slot that never lets an exception out: Krita would show its script-error dialog for it.

    Args:
        action: called with the one value the signal sends.
        report: told in words what happened; the details go to Krita's log.
    """

    def slot(value: Any = None) -> None:
        try:
            action(value)
        except Exception as error:
            logger.exception("LayerFusion")
            report(f"The plugin met an error of its own: {type(error).__name__}: {error}")

    return slot
