"""Token buckets, which are refilled over time."""

from layerfusion.server.net.rate_limits import RateLimits, TokenBucket


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_burst_then_the_rate():
    clock = Clock()
    bucket = TokenBucket(rate=2, burst=5, clock=clock)
    assert [bucket.take(1) for _ in range(6)] == [True] * 5 + [False]
    clock.now += 1
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]


def test_a_bucket_holds_no_more_than_a_burst():
    clock = Clock()
    bucket = TokenBucket(rate=2, burst=5, clock=clock)
    clock.now += 1000
    assert not bucket.take(6)
    assert bucket.take(5)


def test_a_refused_amount_is_not_subtracted():
    bucket = TokenBucket(rate=0, burst=5, clock=Clock())
    assert not bucket.take(6)
    assert bucket.take(5)


def test_a_name_keeps_its_bucket():
    allowances = RateLimits(rate=0, burst=5, clock=Clock())
    assert allowances.take({"a": None}, 5)
    assert not allowances.take({"a": None}, 1)
    assert allowances.take({"b": None}, 5)


def test_an_amount_is_taken_from_all_buckets_or_from_none():
    allowances = RateLimits(rate=0, burst=5, clock=Clock())
    assert allowances.take({"address 1": None, "client": None}, 3)
    assert not allowances.take({"address 2": None, "client": None}, 3)
    assert allowances.take({"address 2": None}, 5)
    assert allowances.take({"address 1": None, "client": None}, 2)


def test_full_buckets_are_deleted():
    clock = Clock()
    allowances = RateLimits(rate=1, burst=5, clock=clock)
    for number in range(1000):
        allowances.take({str(number): None}, 5)
        clock.now += 1
    assert len(allowances._buckets) < 10
