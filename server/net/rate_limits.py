"""How much one client may ask for in a time. What a client may ask for at once is in `config` and in the messages."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """An allowance that fills up again: at most `burst` at once, at most `rate` a second in the long run.

    Args:
        rate: of refilling, a second.
        burst: what it holds; it begins full.
        clock: seconds, never going back.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._filled = clock()

    @property
    def full(self) -> bool:
        """Whether nothing is missing: such a bucket need not be remembered."""
        self._fill()
        return self._left >= self._burst

    def take(self, amount: float) -> bool:
        """Take all of `amount`, or nothing if there is less."""
        self._fill()
        if amount > self._left:
            return False
        self._left -= amount
        return True

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._filled) * self._rate)
        self._filled = now


class RateLimits:
    """One bucket for each address, so that connecting again brings nothing.

    Args:
        rate, burst, clock: see `TokenBucket`.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._make = lambda: TokenBucket(rate, burst, clock)
        self._buckets: dict[str, TokenBucket] = {}

    def of(self, address: str) -> TokenBucket:
        """The bucket of that address. Those that are full again are forgotten: they cost memory and say nothing."""
        if address not in self._buckets:
            self._buckets = {known: bucket for known, bucket in self._buckets.items() if not bucket.full}
            self._buckets[address] = self._make()
        return self._buckets[address]
