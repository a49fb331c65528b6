"""Limits of a client's rate of messages and uploads. Limits of a single request are in `config` and in the messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class TokenBucket:
    """A token bucket: at most `burst` at once, and at most `rate` per second on average.

    Args:
        rate: amount that is added per second.
        burst: capacity; the bucket is full at first.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._filled = clock()

    @property
    def full(self) -> bool:
        """Whether the bucket is full, so that it may be deleted and made again."""
        self._fill()
        return self._left >= self._burst

    @property
    def left(self) -> float:
        """The amount that can be taken now."""
        self._fill()
        return self._left

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
    """One token bucket per name, such as an IP address or a client, so that a new connection does not reset the limit.

    Args:
        rate, burst, clock: see `TokenBucket`.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, TokenBucket] = {}

    def _make(self, burst: float | None) -> TokenBucket:
        if burst is None or self._burst == 0:
            return TokenBucket(self._rate, self._burst, self._clock)
        return TokenBucket(self._rate * burst / self._burst, burst, self._clock)

    def take(self, names: Mapping[str, float | None], amount: float) -> bool:
        """Take all of `amount` from the bucket of each name, or nothing if one of them has less.

        Args:
            names: the names, each with its own limit in place of the common burst, or None; the rate changes in
                proportion.
            amount: what is taken.
        """
        if not self._buckets.keys() >= names.keys():  # before others are added, full ones are deleted
            self._buckets = {known: bucket for known, bucket in self._buckets.items() if not bucket.full}
        for name, burst in names.items():
            if name not in self._buckets:
                self._buckets[name] = self._make(burst)
        buckets = [self._buckets[name] for name in names]
        if any(bucket.left < amount for bucket in buckets):
            return False
        return all(bucket.take(amount) for bucket in buckets)
