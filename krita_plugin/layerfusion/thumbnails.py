"""Small pictures of jobs, as the server makes them; each is asked for once."""

from __future__ import annotations

from collections.abc import Callable

from .images import Picture
from .protocol.messages import FetchThumbnail, Message, Thumbnail

SIDE = 128
"""The longer side of a thumbnail in pixels: more than what is shown, for screens of high resolution."""
MOST = 500
"""The most thumbnails that are kept in memory."""
SINCE = (1, 4)
"""The first version of the protocol that has `FetchThumbnail`."""


class Thumbnails:
    """The thumbnails that the connected server has sent, and those of earlier servers.

    Args:
        send: sends a message to the server.

    Attributes:
        asks: whether a server is there that can be asked.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._known: dict[str, Picture | None] = {}  # by job; None while the server is asked, or if it has none
        self.asks = False

    def connected(self, protocol: tuple[int, int]) -> None:
        """A server with this version of the protocol is there. Thumbnails that are missing are asked for again."""
        self.asks = protocol >= SINCE
        self._known = {job: picture for job, picture in self._known.items() if picture is not None}

    def disconnected(self) -> None:
        self.asks = False

    def of(self, job: str) -> Picture | None:
        """The thumbnail of a job; None if there is none, or not yet."""
        if self.asks and job not in self._known:
            self._known[job] = None
            self._send(FetchThumbnail(job=job, side=SIDE))
        return self._known.get(job)

    def receive(self, answer: Thumbnail) -> None:
        """Take the server's answer."""
        self._known[answer.job] = Picture(0, 0, answer.width, answer.height, answer.pixels)
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def forget(self, job: str) -> None:
        """The job was deleted."""
        self._known.pop(job, None)
