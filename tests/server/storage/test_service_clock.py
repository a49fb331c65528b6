"""The clock of ages: it counts what has passed, and a wrong clock of the computer adds a day at most."""

import pytest

from layerfusion.server.storage.service_clock import LONGEST_PAUSE, ServiceClock

DAY = 24 * 3600.0


@pytest.mark.parametrize(("pause", "counted"), [(0, 0), (3600, 3600), (DAY, DAY), (40 * 365 * DAY, DAY), (-DAY, 0)])
def test_pauses_between_servers_count_for_a_day_at_most(pause, counted):
    clock = ServiceClock(500, 1000, now=1000 + pause, running=lambda: 7.0)
    assert clock() == 500 + counted
    assert LONGEST_PAUSE == DAY


def test_seconds_in_service_are_those_of_a_clock_that_never_jumps():
    running = [7.0]
    clock = ServiceClock(500, 1000, now=1000, running=lambda: running[0])
    running[0] += 100
    assert clock() == 600
