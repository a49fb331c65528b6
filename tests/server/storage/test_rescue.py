"""A list of jobs that is damaged, empty or missing costs no layer, and comes back with all that can be read."""

import contextlib
import hashlib
import os
import time
from random import Random

import pytest

from layerfusion.engine.errors import UnreadableFile
from layerfusion.server.config import database, layers
from layerfusion.server.errors import BrokenStore
from layerfusion.server.protocol.messages import Done, Started
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.rescue import back_up, backup, check_together, recover, set_aside
from samples import job_id, layer_begin, submit

JOBS = 40


def pixels(number):
    return f"{number:04d}".encode()


def draw(folder, *numbers):
    store = LayerStore(layers(folder))
    with contextlib.closing(Database(database(folder))) as records:
        for number in numbers:
            job = job_id(number)
            records.add([submit(number)], "a")
            for event in (
                Started(job=job, seq=1),
                layer_begin(job, seq=2, sha256=store.put(pixels(number))),
                Done(job=job, seq=3, layers=1),
            ):
                assert records.append(event)


@pytest.fixture
def folder(tmp_path):
    """Forty finished jobs, of which all but the last five are in the backup, and one that waits."""
    folder = tmp_path / "jobs"
    folder.mkdir(mode=0o700)
    draw(folder, *range(JOBS - 5))
    with contextlib.closing(Database(database(folder))) as records:
        back_up(records, folder)
    draw(folder, *range(JOBS - 5, JOBS))
    with contextlib.closing(Database(database(folder))) as records:
        records.add([submit(1000)], "a")
    return folder


def finished(folder):
    """The numbers of the finished jobs whose layer can be read."""
    store, numbers = LayerStore(layers(folder)), []
    with contextlib.closing(Database(database(folder))) as records:
        for job in records.jobs(states=("finished",)):
            (begin,) = [event for event in records.events(job.id) if event.type == "layer_begin"]
            number = int(job.id[-12:])
            assert store.read(begin.sha256) == pixels(number)
            numbers.append(number)
    return sorted(numbers)


def whole(folder):
    """The bytes of all layers in a folder, wherever they are."""
    return sorted(path.read_bytes() for path in folder.rglob("layers/??/*"))


ALL = sorted(map(pixels, range(JOBS)))


def test_a_missing_list_is_set_aside_with_its_layers_and_comes_back(folder):
    database(folder).unlink()
    aside = check_together(folder)
    assert aside is not None and aside.parent == folder
    assert (list(layers(folder).glob("*")), backup(folder).exists()) == ([], False)
    assert whole(folder) == ALL
    draw(folder, 500)  # a new server makes a new list
    assert check_together(folder) is None
    found = recover(folder)
    assert (found.jobs, found.lost, found.left) == (JOBS - 5, 0, 5)
    assert finished(folder) == [*range(JOBS - 5), 500]
    assert whole(folder) == sorted([*ALL, pixels(500)])


def test_an_empty_list_is_refused_and_comes_back(folder):
    os.truncate(database(folder), 0)
    with pytest.raises(BrokenStore, match=r"is empty, although there are layers\. .* jobs recover"):
        check_together(folder)
    assert recover(folder).jobs == JOBS - 5
    assert finished(folder) == list(range(JOBS - 5))
    assert whole(folder) == ALL


def test_an_empty_file_before_the_first_job_is_no_damage(tmp_path):
    folder = tmp_path / "jobs"
    LayerStore(layers(folder))
    database(folder).touch(mode=0o600)
    assert check_together(folder) is None


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.8])
def test_a_list_damaged_anywhere_comes_back_from_what_can_be_read_and_its_backup(folder, part):
    data = bytearray(database(folder).read_bytes())
    start = int(part * len(data)) // 4096 * 4096
    data[start : start + 8192] = Random(0).randbytes(8192)
    database(folder).write_bytes(data)
    with pytest.raises(BrokenStore, match="jobs recover"):
        Database(database(folder))
    found = recover(folder)
    assert found.source.parent == folder
    assert set(range(JOBS - 5)) <= set(finished(folder))
    assert whole(folder) == ALL
    assert found.left + len(finished(folder)) == JOBS


def test_a_damaged_list_without_a_backup_gives_what_can_be_read(folder):
    backup(folder).unlink()
    data = bytearray(database(folder).read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = bytes(4096)
    database(folder).write_bytes(data)
    recover(folder)
    assert len(finished(folder)) > 0
    assert whole(folder) == ALL


def test_jobs_that_were_not_over_end_as_interrupted(folder):
    with database(folder).open("r+b") as file:
        file.seek(4096 * 3)
        file.write(bytes(4096))
    if not recover(folder).jobs:
        pytest.fail("nothing came back")
    with contextlib.closing(Database(database(folder))) as records:
        assert records.jobs(states=("queued", "running")) == []
        for job in records.outlines():
            assert [event.seq for event in records.events(job.id)] == list(range(1, len(records.events(job.id)) + 1))


def test_a_whole_list_has_nothing_to_recover(folder):
    with pytest.raises(UnreadableFile, match="nothing to recover"):
        recover(folder)
    assert finished(folder) == list(range(JOBS))


def test_recovering_twice_changes_nothing(folder):
    database(folder).unlink()
    recover(folder)
    before = finished(folder)
    assert recover(folder).jobs == 0
    assert finished(folder) == before


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has no tzset")
def test_what_was_set_aside_last_comes_back_also_if_the_clocks_were_put_back(folder, monkeypatch):
    try:
        for number, zone in enumerate(("SUMMER-2", "WINTER-1")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            draw(folder, 500 + number)
            last = set_aside(folder)
        assert recover(folder).source == last
    finally:
        monkeypatch.undo()
        time.tzset()


def test_layers_that_were_lost_are_counted(folder):
    LayerStore(layers(folder)).remove(hashlib.sha256(pixels(3)).hexdigest())
    os.truncate(database(folder), 0)
    found = recover(folder)
    assert (found.jobs, found.layers, found.lost, found.left) == (JOBS - 5, JOBS - 6, 1, 5)


def test_a_backup_is_replaced_only_by_a_whole_copy(folder):
    before = backup(folder).read_bytes()
    with contextlib.closing(Database(database(folder))) as records:
        with database(folder).open("r+b") as file:
            file.seek(4096 * 4)
            file.write(Random(0).randbytes(4096 * 4))
        with pytest.raises(BrokenStore):
            back_up(records, folder)
    assert backup(folder).read_bytes() == before
    assert not list(folder.glob("*.draft*"))


def test_a_backup_is_as_private_as_the_list(folder):
    assert backup(folder).stat().st_mode & 0o077 == 0
    assert not list(folder.glob("jobs.backup*-*"))
