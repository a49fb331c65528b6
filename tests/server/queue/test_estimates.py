"""Estimates of a job's duration, which are made from earlier jobs only."""

import pytest

from layerfusion.server.protocol.messages import Generated
from layerfusion.server.queue.estimates import Estimates
from samples import submit


@pytest.fixture
def estimates():
    estimates = Estimates()
    for seconds in (10.0, 12.0, 50.0):
        estimates.add(submit(), seconds)
    return estimates


def test_there_is_no_estimate_without_earlier_jobs():
    assert Estimates().seconds(submit()) is None


def test_the_median_of_similar_jobs_is_the_estimate(estimates):
    assert estimates.seconds(submit()) == 12.0
    assert estimates.seconds(submit(width=32, height=128)) == 12.0


def test_other_jobs_of_the_model_are_scaled_by_pixels_rows_and_steps(estimates):
    assert estimates.seconds(submit(width=128)) == pytest.approx(24.0)
    two = (Generated(prompt="an apple"), Generated(prompt="a pear"))
    assert estimates.seconds(submit(foregrounds=two)) == pytest.approx(16.0)
    estimates.add(submit(steps=10), 5.0)
    assert estimates.seconds(submit(steps=20)) == pytest.approx(10.0)


def test_jobs_of_another_model_do_not_count(estimates):
    assert estimates.seconds(submit(model="sdxl")) is None


def test_a_preset_that_draws_in_fewer_steps_does_not_count(estimates):
    assert estimates.seconds(submit(preset="fast")) is None
    estimates.add(submit(preset="fast"), 2.0)
    assert (estimates.seconds(submit(preset="fast")), estimates.seconds(submit())) == (2.0, 12.0)


def test_only_recent_times_count(estimates):
    for _ in range(8):
        estimates.add(submit(), 1.0)
    assert estimates.seconds(submit()) == 1.0
