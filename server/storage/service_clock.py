"""The time for which a server has served a folder, by which the age of jobs and uploads is counted.

A computer's clock may jump by years, for example when its battery is empty. Pictures that nobody has fetched must not
be deleted because of that. While a server runs, this clock counts the seconds that have really passed. While none runs,
it follows the computer's clock, but by at most a day for each pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_PAUSE = 24 * 3600.0
"""Most seconds by which one pause between two servers makes jobs older. Our choice."""


class ServiceClock:
    """Returns the seconds in service.

    Args:
        seconds: seconds in service when they were last written down.
        at: the computer's clock at that time, in seconds since 1970.
        now: the computer's clock now.
        running: a clock that never jumps, in seconds.
    """

    def __init__(self, seconds: float, at: float, *, now: float, running: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds + min(max(0.0, now - at), LONGEST_PAUSE)
        self._running = running
        self._started = running()

    def __call__(self) -> float:
        return self._seconds + self._running() - self._started
