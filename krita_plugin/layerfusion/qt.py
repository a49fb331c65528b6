"""Qt of the running Krita: PyQt5 up to Krita 5, PyQt6 from Krita 6 on. All other modules import Qt from here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .translation import tr

if TYPE_CHECKING:  # types are checked with PyQt5 alone, because a class cannot inherit from one of two bases
    from PyQt5 import QtCore, QtGui, QtWidgets
else:
    try:
        from PyQt5 import QtCore, QtGui, QtWidgets
    except ImportError:  # Krita 6 makes importing PyQt5 an error
        from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["Mailbox", "QtCore", "QtGui", "QtWidgets", "guarded", "waiting_cursor"]

logger = logging.getLogger(__name__)


class Mailbox(QtCore.QObject):
    """Takes values on any thread and passes them on, in order, on the thread that created the mailbox.

    Args:
        receive: called on that thread with each value. It must not raise; wrap it in `guarded`.
    """

    _posted = QtCore.pyqtSignal(object)

    def __init__(self, receive: Callable[[Any], None]) -> None:
        super().__init__()
        queued = QtCore.Qt.ConnectionType.QueuedConnection
        self._posted.connect(receive, queued)  # pyright: ignore[reportCallIssue]  # PyQt5's stubs know one argument

    def post(self, value: object) -> None:
        self._posted.emit(value)


@contextlib.contextmanager
def waiting_cursor() -> Iterator[None]:
    """Show the pointer of a program that is busy, while Krita does something that it cannot do in steps."""
    QtWidgets.QApplication.setOverrideCursor(QtGui.QCursor(QtCore.Qt.CursorShape.WaitCursor))
    try:
        yield
    finally:
        QtWidgets.QApplication.restoreOverrideCursor()


def guarded(action: Callable[[Any], object], report: Callable[[str], None]) -> Callable[[Any], None]:
    """A Qt slot that catches all exceptions of `action`, for which Krita would show its dialog for script errors.

    Args:
        action: called with the value of the signal.
        report: called with a sentence about the error; the traceback is logged.
    """

    def slot(value: Any = None) -> None:
        try:
            action(value)
        except Exception as error:
            logger.exception("LayerFusion")
            report(tr("An error occurred in the plugin: {error}", error=f"{type(error).__name__}: {error}"))

    return slot
