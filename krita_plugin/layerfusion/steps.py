"""Long work on the GUI thread, cut into short steps, so that Krita stays responsive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator


class Steps:
    """Runs generators to their ends, one after the other, one step in each turn of the event loop.

    Args:
        later: calls a function in the next turn of the event loop.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._later = later
        self._waiting: deque[Iterator[None]] = deque()

    def run(self, work: Iterator[None]) -> None:
        """Run `work` after all that is waiting. What it raises, `later` meets; the others go on."""
        self._waiting.append(work)
        if len(self._waiting) == 1:
            self._later(self._step)

    def _step(self) -> None:
        ended = True
        try:
            next(self._waiting[0])
            ended = False
        except StopIteration:
            pass
        finally:
            if ended:
                self._waiting.popleft()
            if self._waiting:
                self._later(self._step)
