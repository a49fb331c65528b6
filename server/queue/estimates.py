"""How long a job will take, by how long others took. Where nothing alike was drawn before, nothing is said."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Hashable

from layerfusion.server.protocol.messages import Submit

_RECENT = 8
"""Times of one kind that count: the machine may have become busier, or been given a better card."""


class Estimates:
    """Times of jobs, by what the jobs ask of the machine."""

    def __init__(self) -> None:
        self._alike: dict[Hashable, deque[float]] = {}
        self._rates: dict[Hashable, deque[float]] = {}

    def add(self, submit: Submit, seconds: float) -> None:
        """A job took so long, from its start to its end."""
        self._alike.setdefault(_kind(submit), deque(maxlen=_RECENT)).append(seconds)
        self._rates.setdefault(_family(submit), deque(maxlen=_RECENT)).append(seconds / _work(submit))

    def seconds(self, submit: Submit) -> float | None:
        """How long a job will take: the median of those like it, else of its model's, scaled by size; None if none."""
        if times := self._alike.get(_kind(submit)):
            return statistics.median(times)
        if rates := self._rates.get(_family(submit)):
            return statistics.median(rates) * _work(submit)
        return None


def _kind(submit: Submit) -> Hashable:
    return submit.model, submit.steps, submit.width * submit.height, len(submit.foregrounds)


def _family(submit: Submit) -> Hashable:
    return submit.model, submit.steps is None


def _work(submit: Submit) -> float:
    """Pixels x rows of the batch x steps. The model's own number of steps is the same for all that leave it unset."""
    return submit.width * submit.height * (len(submit.foregrounds) + 2) * max(1, submit.steps or 1)
