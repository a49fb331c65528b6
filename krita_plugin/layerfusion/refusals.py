"""Shows the artist why an action was refused."""

from __future__ import annotations

from types import TracebackType

from .interfaces import View
from .jobs import Refusal
from .protocol.errors import ProtocolError
from .server_words import told


class RefusalsShown:
    """Context manager that ends the block at a `Refusal` or `ProtocolError` and shows it to the artist.

    Args:
        view: where the message and its remedy are shown.
    """

    def __init__(self, view: View) -> None:
        self._view = view

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Refusal):
            self._view.warn(error.message, error.hint, error.remedy)
            return True
        if isinstance(error, ProtocolError):
            self._view.warn(*told(error))
            return True
        return False
