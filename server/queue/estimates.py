"""Estimates of a job's duration from the durations of similar jobs; without similar jobs there is no estimate."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Hashable

from layerfusion.server.protocol.messages import Submit

_RECENT = 8
"""Number of most recent durations of one kind that are used, because the machine's load and hardware change."""


class Estimates:
    """Durations of jobs, grouped by the work that the jobs need."""

    def __init__(self) -> None:
        self._alike: dict[Hashable, deque[float]] = {}
        self._rates: dict[Hashable, deque[float]] = {}

    def add(self, submit: Submit, seconds: float) -> None:
        """Record the duration of a job from its start to its end."""
        self._alike.setdefault(_kind(submit), deque(maxlen=_RECENT)).append(seconds)
        self._rates.setdefault(_family(submit), deque(maxlen=_RECENT)).append(seconds / _work(submit))

    def seconds(self, submit: Submit) -> float | None:
        """The estimated duration of a job: the median of jobs of the same kind, or else of its model's jobs with the
        same preset, scaled by size; None if there are neither."""
        if times := self._alike.get(_kind(submit)):
            return statistics.median(times)
        if rates := self._rates.get(_family(submit)):
            return statistics.median(rates) * _work(submit)
        return None


def _kind(submit: Submit) -> Hashable:
    size = submit.width * submit.height, len(submit.foregrounds)
    return submit.model, submit.preset, submit.sampler, submit.steps, size


def _family(submit: Submit) -> Hashable:
    return submit.model, submit.preset, submit.steps is None


def _work(submit: Submit) -> float:
    """Pixels x rows of the batch x steps. Jobs of a family that leave the steps unset all have the number of steps of
    the model, or of its few-step adapter, so that it cancels out."""
    return submit.width * submit.height * (len(submit.foregrounds) + 2) * max(1, submit.steps or 1)
