"""The artist's styles, which the server keeps for all clients."""

from __future__ import annotations

from collections.abc import Callable

from .interfaces import GenerationParams, View
from .jobs import Refusal
from .protocol.messages import DeleteStyle, ListStyles, Message, SaveStyle, Style, StyleFailed, Styles, Submit
from .server_words import told
from .translation import tr

STYLES_SINCE = (1, 5)
"""The first version of the protocol that has styles."""


class StyleBook:
    """Knows the styles of the connected server, and changes them.

    Args:
        view: the docker.
        send: sends a message to the server.
    """

    def __init__(self, view: View, send: Callable[[Message], None]) -> None:
        self._view = view
        self._send = send
        self._styles: tuple[Style, ...] | None = None

    def connected(self, protocol: tuple[int, int]) -> None:
        """A server with this version of the protocol is there; ask it for the styles."""
        if protocol >= STYLES_SINCE:
            self._send(ListStyles())
        else:
            self._show(None)

    def receive(self, answer: Styles | StyleFailed) -> None:
        """Take the server's answer."""
        if isinstance(answer, Styles):
            self._show(answer.styles)
        else:
            self._view.warn(*told(answer))

    def save(self, style: Style, replaces: str | None) -> None:
        """Save a style, in place of the one of a name or as a new one."""
        self._send(SaveStyle(style=style, replaces=replaces))

    def delete(self, name: str) -> None:
        """Delete a style. Pictures that were drawn in it stay as they are."""
        self._send(DeleteStyle(name=name))

    def applied(self, submit: Submit, params: GenerationParams) -> Submit:
        """A submission in the style that the artist has chosen, if any.

        Raises:
            Refusal: the server does not have that style.
        """
        if params.style is None:
            return submit
        style = next((style for style in self._styles or () if style.name == params.style), None)
        if style is None:
            raise Refusal(tr("There is no style “{style}” any more.", style=params.style), tr("Choose another style."))
        return style.applied(submit)

    def _show(self, styles: tuple[Style, ...] | None) -> None:
        self._styles = styles
        self._view.show_styles(styles)
