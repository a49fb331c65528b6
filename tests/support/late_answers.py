"""A server that does not answer for now, or loses whoever asks, so that tests see what a program does meanwhile."""

import asyncio
import contextlib
import threading

from websockets.exceptions import ConnectionClosedError

from layerfusion.server.net.request_handler import RequestHandler


class Late:
    """Requests of one kind that are not answered yet."""

    def __init__(self):
        self.asked = []
        """The handler of each request, one for each connection."""
        self._answers = threading.Event()
        self._losing = threading.Event()

    @property
    def connections(self):
        """How many connections have asked."""
        return len({id(handler) for handler in self.asked})

    def lose(self):
        """Lose the connection of whoever asks next, or waits for the answer."""
        self._losing.set()

    def answer(self):
        """Answer from now on."""
        self._answers.set()

    async def wait(self, handler):
        self.asked.append(handler)
        while not self._answers.is_set():
            if self._losing.is_set():
                self._losing.clear()
                raise ConnectionClosedError(None, None)
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def late(monkeypatch, method):
    """Within the block, a method of the server's request handler does nothing until `answer` is called.

    Args:
        monkeypatch: of the test.
        method: the name of a coroutine function that takes a request, e.g. `_list`.
    """
    held, answer = Late(), getattr(RequestHandler, method)

    async def waits(self, request):
        await held.wait(self)
        return await answer(self, request)

    with monkeypatch.context() as patch:
        patch.setattr(RequestHandler, method, waits)
        try:
            yield held
        finally:
            held.answer()
