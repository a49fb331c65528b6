import math

import numpy as np
import pytest

from layerfusion.engine.evaluation.statistics import estimate, mean, paired, rank_correlation, ranks, ratio_of_sums


def test_the_mean_and_its_interval():
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.low < 2.5 < found.high
    assert found.count == 4


def test_constant_values_have_an_interval_of_width_0():
    found = estimate([0.3] * 20)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_the_same_items_give_the_same_interval():
    values = np.random.default_rng(1).normal(size=30).tolist()
    assert estimate(values) == estimate(values)


def test_at_least_nine_of_ten_intervals_cover_the_truth():
    """95 % should, but percentile intervals of 40 items are a little short. 200 experiments; the true value is 0.7."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        found = estimate((0.7 + rng.normal(size=40)).tolist(), resamples=500)
        covered += found.low <= 0.7 <= found.high
    assert 180 <= covered < 200


def test_paired_differences_have_narrower_intervals():
    rng = np.random.default_rng(2)
    items = 10 * rng.normal(size=50)
    first, second = items + 0.5 + 0.1 * rng.normal(size=50), items
    found = paired(first.tolist(), second.tolist())
    assert 0.4 < found.low < found.value < found.high < 0.6


def test_items_without_a_value_are_left_out_in_pairs():
    found = paired([1.0, math.nan, 3.0], [0.5, 1.0, math.nan])
    assert (found.value, found.count) == (0.5, 1)


def test_without_items_nothing_is_measured():
    found = estimate([math.nan])
    assert not found.known
    assert str(found) == "not measured"


def test_the_slope_of_a_line_through_zero():
    x = np.array([1.0, 2.0, 3.0])
    found = estimate((0.8 * x * x).tolist(), (x * x).tolist(), statistic=ratio_of_sums)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.8, 0.8))
    assert mean(x[None]).tolist() == [2.0]


def test_equal_values_share_their_mean_rank():
    assert ranks([10, 20, 20, 5]).tolist() == [2, 3.5, 3.5, 1]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 5, 10], [4, 3, 2, 1], -1.0),
        ([1, 2, 5, 10], [0.1, 0.2, 0.7, 90], 1.0),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 Σd²/(n(n²-1)) = 1 - 6·4/120
    ],
)
def test_spearmans_rank_correlation(x, y, expected):
    assert rank_correlation(x, y) == pytest.approx(expected)


def test_constant_values_have_no_correlation():
    assert math.isnan(rank_correlation([1, 2, 3], [4, 4, 4]))


def test_an_estimate_is_printed_with_three_digits():
    assert str(estimate([0.25, 0.25])) == "0.25 [0.25, 0.25]"
