"""Bootstrap intervals over items, and rank correlation. Pure functions in numpy.

The unit of resampling is the item (an object, a scene and a seed). Every system draws the same items, so differences
are taken per item, and items are resampled with replacement (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
§13.3: percentile intervals).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Statistic = Callable[..., Values]
"""A function from columns of resampled values, each (resamples, items), to one value per resample, (resamples,)."""

RESAMPLES = 10_000
LEVEL = 0.95
_SEED = 20241205
_CHUNK = 500
"""Resamples that are in memory at the same time."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval.

    Attributes:
        value: the statistic of all items; NaN if there are none.
        low, high: the 95 % percentile interval.
        count: number of items.
    """

    value: float
    low: float
    high: float
    count: int

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)

    def __str__(self) -> str:
        """For example `0.43 [0.31, 0.52]`, with three significant digits."""
        if not self.known:
            return "not measured"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean(values: Values) -> Values:
    return values.mean(axis=-1)


def ratio_of_sums(numerators: Values, denominators: Values) -> Values:
    """Sum of the numerators over sum of the denominators. For columns x·y and x·x it is the least-squares slope of a
    line through zero."""
    return numerators.sum(axis=-1) / denominators.sum(axis=-1)


def estimate(*columns: Sequence[float], statistic: Statistic = mean, resamples: int = RESAMPLES) -> Estimate:
    """Compute a statistic of the items and its 95 % bootstrap interval. The random seed is fixed.

    Args:
        columns: sequences of equal length with one value per item. An item with a value that is not finite in any
            column is left out.
        statistic: function of all columns; resampling keeps the values of an item together.
        resamples: number of resamples, at least 1.
    """
    table = np.array([np.asarray(column, np.float64) for column in columns])
    table = table[:, np.isfinite(table).all(axis=0)]
    count = table.shape[1]
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    rng = np.random.default_rng(_SEED)
    found: list[Values] = []
    for start in range(0, resamples, _CHUNK):
        chosen = rng.integers(0, count, (min(_CHUNK, resamples - start), count))
        found.append(np.asarray(statistic(*(column[chosen] for column in table))))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.concatenate(found), (tail, 1 - tail))
    value = float(statistic(*(column[None] for column in table))[0])
    return Estimate(value, float(low), float(high), count)


def paired(first: Sequence[float], second: Sequence[float], *, resamples: int = RESAMPLES) -> Estimate:
    """The mean of `first - second` per item; items that lack either value are left out."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return estimate(difference.tolist(), resamples=resamples)


def ranks(values: Sequence[float] | Values) -> Values:
    """Ranks from 1; equal values get their mean rank."""
    array = np.asarray(values, np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's ρ, -1 to 1; NaN if either argument is constant."""
    a, b = ranks(x) - (len(x) + 1) / 2, ranks(y) - (len(y) + 1) / 2
    size = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size else math.nan
