"""Which jobs and layers are removed, and which are never removed."""

import hashlib
import sqlite3

import pytest

from layerfusion.server.protocol.messages import Done, Failed, Kept, Started
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.retention import UNFETCHED_SECONDS, orphans, prune
from layerfusion.server.storage.service_clock import ServiceClock
from samples import job_id, layer_begin, submit

DAY = 24 * 3600.0
NOW = 1000 * DAY


class Shelf:
    """A folder of jobs with a clock that the test sets."""

    def __init__(self, folder):
        self.time = NOW
        self.records = Database(folder / "jobs.sqlite", now=lambda: self.time, service=lambda: self.time)
        self.store = LayerStore(folder / "layers")

    def drawn(self, number, *, age, fetched, pixels=None, last=Done):
        """Write a job that ended some days ago."""
        job = job_id(number)
        self.time = NOW - age * DAY
        pixels = pixels or bytes([number]) * 100
        self.records.add([submit(job)], "a")
        events = [
            Started(job=job, seq=1),
            layer_begin(job, seq=2, width=len(pixels) // 4, bytes=len(pixels), sha256=self.store.put(pixels)),
        ]
        end = Done(job=job, seq=3, layers=1) if last is Done else Failed(job=job, seq=3, code="x", message="")
        for event in (*events, end):
            assert self.records.append(event)
        if fetched:
            self.records.acknowledge(job, 3)
        self.time = NOW
        return job

    def prune(self, days=30.0, size=10**9, uploads=frozenset()):
        return prune(
            self.records,
            self.store,
            max_seconds=days * DAY,
            max_bytes=size,
            upload_seconds=DAY,
            uploads=uploads,
        )

    def left(self):
        return {int(job.id[-12:]) for job in self.records.jobs()}

    def files(self):
        return len(list(self.store.folder.glob("??/*")))


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.records.close()


def test_old_jobs_are_removed_with_their_layers(shelf):
    shelf.drawn(1, age=31, fetched=True)
    shelf.drawn(2, age=29, fetched=True)
    kept = shelf.prune()
    assert shelf.left() == {2}
    assert shelf.files() == 1
    assert (kept.jobs, kept.bytes, kept.removed) == (1, 100, 1)


def test_the_oldest_jobs_are_removed_when_the_store_is_too_large(shelf):
    for number, age in ((1, 1), (2, 3), (3, 2)):
        shelf.drawn(number, age=age, fetched=True)
    assert shelf.prune(size=250).bytes == 200
    assert shelf.left() == {1, 3}


def test_unfetched_jobs_stay_for_a_week_even_if_the_store_is_too_large(shelf):
    shelf.drawn(1, age=6.9, fetched=False)
    shelf.drawn(2, age=7.1, fetched=False)
    shelf.drawn(3, age=1, fetched=True)
    kept = shelf.prune(days=0, size=0)
    assert shelf.left() == {1}
    assert kept.bytes == 100
    assert UNFETCHED_SECONDS == 7 * DAY


def test_failed_jobs_are_removed_like_finished_ones(shelf):
    shelf.drawn(1, age=1, fetched=False, last=Failed)
    shelf.drawn(2, age=8, fetched=False, last=Failed)
    shelf.prune(days=0)
    assert shelf.left() == {1}


def test_waiting_and_running_jobs_are_never_removed(shelf):
    shelf.time = NOW - 100 * DAY
    for number in (1, 2):
        shelf.records.add([submit(number)], "a")
    shelf.records.append(Started(job="00000000-0000-4000-8000-000000000001", seq=1))
    shelf.time = NOW
    shelf.prune(days=0, size=0)
    assert shelf.left() == {1, 2}


def test_a_layer_of_two_jobs_is_removed_with_the_second(shelf):
    shelf.drawn(1, age=40, fetched=True, pixels=b"same" * 25)
    shelf.drawn(2, age=1, fetched=True, pixels=b"same" * 25)
    assert shelf.prune().bytes == 100
    assert shelf.files() == 1
    shelf.time = NOW + 60 * DAY
    shelf.prune()
    assert shelf.files() == 0


def upload(shelf, pixels):
    digest = hashlib.sha256(pixels).hexdigest()
    shelf.records.add_loose(digest, len(pixels), "a", DAY)
    assert shelf.store.put(pixels) == digest
    return digest


def test_uploads_stay_as_long_as_their_connection_or_job_and_otherwise_a_day(shelf):
    named, held, forgotten = (upload(shelf, name * 4) for name in (b"n", b"h", b"f"))
    kept = Kept(layer=named, width=1, height=1, name="Apple", prompt="an apple")
    shelf.records.add([submit(1, foregrounds=(kept,))], "a")
    assert shelf.prune(uploads={held}).bytes == 12
    shelf.time += 2 * DAY
    assert shelf.prune(uploads={held}).bytes == 8
    assert [shelf.store.path(digest).exists() for digest in (named, held, forgotten)] == [True, True, False]
    shelf.time += DAY / 2
    shelf.prune()
    assert shelf.store.path(held).exists()
    shelf.time += DAY
    shelf.prune()
    assert [shelf.store.path(digest).exists() for digest in (named, held)] == [True, False]


def test_fetched_jobs_make_room_before_older_ones_that_nobody_has_fetched(shelf):
    shelf.drawn(1, age=20, fetched=False)
    shelf.drawn(2, age=1, fetched=True)
    shelf.drawn(3, age=2, fetched=True)
    shelf.prune(size=250)
    assert shelf.left() == {1, 2}
    shelf.prune(size=150)
    assert shelf.left() == {1}


def test_files_of_which_the_list_knows_nothing_are_never_removed(shelf):
    shelf.store.put(b"from another list")
    shelf.time += 1000 * DAY
    shelf.prune(days=0, size=0)
    assert shelf.files() == 1
    assert list(orphans(shelf.records, shelf.store).values()) == [17]


@pytest.mark.parametrize("jump", [10 * 365 * DAY, -10 * 365 * DAY], ids=["ahead", "back"])
def test_a_jump_of_the_computers_clock_deletes_nothing_that_nobody_has_fetched(tmp_path, jump):
    wall, running = [NOW], [0.0]

    def reopened():
        records = Database(tmp_path / "jobs.sqlite", now=lambda: wall[0])
        records.service = ServiceClock(records.service(), 0, now=0, running=lambda: running[0])
        return records

    store = LayerStore(tmp_path / "layers")
    records = reopened()
    job = job_id(1)
    records.add_loose(store.put(b"an upload"), 9, "a", 2 * DAY)
    records.add([submit(1)], "a")
    begin = layer_begin(job, seq=2, sha256=store.put(b"abcd"))
    for event in (Started(job=job, seq=1), begin, Done(job=job, seq=3, layers=1)):
        assert records.append(event)

    def prune_all():
        return prune(records, store, max_seconds=0, max_bytes=0, upload_seconds=DAY).removed

    wall[0] += jump
    assert prune_all() == 0
    for _ in range(3):  # restarts with the wrong clock, and one with the right clock again
        records.close()
        records = reopened()
        assert prune_all() == 0
        assert store.has(begin.sha256)
        wall[0] += 10
    wall[0] = NOW + 20
    records.close()
    records = reopened()
    assert prune_all() == 0
    assert len(list(store.files())) == 2
    running[0] += 7 * DAY + 30
    assert prune_all() == 1
    assert list(store.files()) == []
    records.close()


def test_unreadable_jobs_are_removed_when_they_are_old(shelf):
    shelf.drawn(1, age=40, fetched=True)
    with sqlite3.connect(shelf.records.path) as database:
        database.execute("UPDATE jobs SET submit = ?", (b"\x81\xa4type\xa6submit",))
    assert shelf.prune().removed == 1
    assert shelf.files() == 0


def test_exports_are_removed_with_their_job(shelf):
    job = shelf.drawn(1, age=40, fetched=True)
    shelf.records.add_file(job, shelf.store.put(b"a psd"), 5)
    shelf.prune()
    assert shelf.files() == 0
