"""What a number is worth: bootstrap intervals over pairs, and rank correlation. numpy only, pure functions.

The unit is the item (an object, a scene and a seed): every system draws the same items, so differences are taken item
by item, and items are drawn again with replacement (Efron & Tibshirani 1993, An Introduction to the Bootstrap, §13.3:
percentile intervals).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Statistic = Callable[..., Values]
"""Columns of resampled values, each (resamples, items), to one value a resample, (resamples,)."""

RESAMPLES = 10_000
LEVEL = 0.95
_SEED = 20241205
_AT_A_TIME = 500
"""Resamples held in memory together."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval.

    Attributes:
        value: on the items as they are; NaN where there are none.
        low, high: the 95 % percentile interval.
        count: items it rests on.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)

    def __str__(self) -> str:
        """`0.43 [0.31, 0.52]`, three digits that matter."""
        if not self.known:
            return "not measured"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean(values: Values) -> Values:
    return values.mean(axis=-1)


def ratio_of_sums(numerators: Values, denominators: Values) -> Values:
    """Sum over sum: the slope of a line through zero where the columns are x·y and x·x."""
    return numerators.sum(axis=-1) / denominators.sum(axis=-1)


def estimate(*columns: Sequence[float], statistic: Statistic = mean, resamples: int = RESAMPLES) -> Estimate:
    """A statistic of items and its 95 % interval. The same items give the same interval.

    Args:
        columns: one value an item, all of one length; an item with a value that is not finite in any column is left
            out, for the measure does not apply to it.
        statistic: of the columns together; resampling keeps an item's values together.
        resamples: of the items, at least 1.
    """
    table = np.array([np.asarray(column, np.float64) for column in columns])
    table = table[:, np.isfinite(table).all(axis=0)]
    count = table.shape[1]
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(_SEED)
    found: list[Values] = []
    for start in range(0, resamples, _AT_A_TIME):
        chosen = rng.integers(0, count, (min(_AT_A_TIME, resamples - start), count))
        found.append(np.asarray(statistic(*(column[chosen] for column in table))))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.concatenate(found), (tail, 1 - tail))
    value = float(statistic(*(column[None] for column in table))[0])
    return Estimate(value, float(low), float(high), count)


def paired(first: Sequence[float], second: Sequence[float], *, resamples: int = RESAMPLES) -> Estimate:
    """The mean of `first - second`, item by item; items that either lacks are left out."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return estimate(difference.tolist(), resamples=resamples)


def ranks(values: Sequence[float] | Values) -> Values:
    """1-based ranks; equal values share their mean rank."""
    array = np.asarray(values, np.float64)
    _, place, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's ρ, -1 to 1; NaN where either does not vary."""
    a, b = ranks(x) - (len(x) + 1) / 2, ranks(y) - (len(y) + 1) / 2
    size = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else math.nan
