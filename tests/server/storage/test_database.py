"""The database of jobs: what is written stays, states follow one order, and failures are named errors."""

import contextlib
import os
import shutil
import sqlite3
import stat
import sys
import threading
from random import Random

import msgpack
import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import BrokenStore
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Generated, Kept, Notice, Started
from layerfusion.server.storage import records, schema
from layerfusion.server.storage.database import Database
from samples import job_id, layer_begin, submit


class Clock:
    time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path, clock):
    database = Database(tmp_path / "jobs.sqlite", now=clock)
    yield database
    database.close()


def reopened(database):
    """The database as another process reads it while the first has it open."""
    return Database(database.path, read_only=True)


def drawn(database, number):
    """Write a job from its submission to its end."""
    job = job_id(number)
    database.add([submit(number)], "a")
    for event in (Started(job=job, seq=1), layer_begin(job, seq=2), Done(job=job, seq=3, layers=1)):
        assert database.append(event)
    return job


def test_a_notice_that_was_written_before_notices_had_sentences_is_read(database):
    job = job_id(1)
    database.add([submit(1)], "a")
    assert database.append(Started(job=job, seq=1))
    old = {"type": "notice", "job": job, "seq": 2, "code": "demo_model", "text": "It is a small model."}
    with database._file.transaction() as connection:
        connection.execute("INSERT INTO events VALUES (?, ?, ?)", (job, 2, msgpack.packb(old)))
    notice = Notice(job=job, seq=2, code="demo_model", text="It is a small model.", sentences=())
    assert reopened(database).events(job) == [Started(job=job, seq=1), notice]


def test_a_job_and_its_events_are_there_for_the_next_process(database):
    job = drawn(database, 1)
    later = reopened(database)
    assert later.find(job).state == "finished"
    assert later.find(job).submit == submit(1)
    assert later.find(job).layers == 1
    assert later.events(job) == [Started(job=job, seq=1), layer_begin(job, seq=2), Done(job=job, seq=3, layers=1)]
    assert later.events(job, after=2) == [Done(job=job, seq=3, layers=1)]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], "queued"),
        ([Started(job=job_id(1), seq=1)], "running"),
        ([Started(job=job_id(1), seq=1), Done(job=job_id(1), seq=2, layers=0)], "finished"),
        ([Started(job=job_id(1), seq=1), Failed(job=job_id(1), seq=2, code="x", message="")], "failed"),
        ([Started(job=job_id(1), seq=1), Failed(job=job_id(1), seq=2, code="interrupted", message="")], "interrupted"),
        ([Cancelled(job=job_id(1), seq=1)], "cancelled"),
    ],
)
def test_events_lead_to_states(database, events, state):
    database.add([submit(1)], "a")
    for event in events:
        assert database.append(event)
    assert database.find(job_id(1)).state == state


def test_a_job_is_started_once(database):
    database.add([submit(1)], "a")
    won = []
    threads = [
        threading.Thread(target=lambda: won.append(database.append(Started(job=job_id(1), seq=1)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def test_two_processes_do_not_start_the_same_job(database):
    database.add([submit(1)], "a")
    other = Database(database.path)
    assert database.append(Started(job=job_id(1), seq=1))
    assert not other.append(Started(job=job_id(1), seq=1))
    other.close()


def test_no_event_is_accepted_after_the_last_one(database):
    job = drawn(database, 1)
    assert not database.append(Cancelled(job=job, seq=4))
    assert not database.append(Started(job=job, seq=4))
    assert database.find(job).state == "finished"
    assert len(database.events(job)) == 3


def test_events_with_a_gap_are_refused(database):
    database.add([submit(1)], "a")
    assert database.append(Started(job=job_id(1), seq=1))
    assert not database.append(layer_begin(job_id(1), seq=3))
    assert [event.seq for event in database.events(job_id(1))] == [1]


def test_several_jobs_are_added_together_or_not_at_all(database):
    database.add([submit(1)], "a")
    with pytest.raises(BrokenStore):
        database.add([submit(2), submit(1)], "a")
    assert database.find(job_id(2)) is None


def test_jobs_that_ran_when_the_server_died_are_interrupted(database):
    finished = drawn(database, 1)
    database.add([submit(2), submit(3)], "a")
    database.append(Started(job=job_id(2), seq=1))
    database.append(layer_begin(job_id(2), seq=2))
    assert database.interrupt() == [job_id(2)]
    assert [database.find(job).state for job in (finished, job_id(2), job_id(3))] == [
        "finished",
        "interrupted",
        "queued",
    ]
    *_, last = database.events(job_id(2))
    assert (last.seq, last.code) == (3, "interrupted")
    assert database.interrupt() == []


def test_a_job_is_fetched_when_its_last_event_is_acknowledged(database, clock):
    job = drawn(database, 1)
    database.acknowledge(job, 2)
    assert database.find(job).fetched is None
    clock.time = 2000.0
    database.acknowledge(job, 10**9)
    assert database.find(job).acknowledged == 3
    assert database.find(job).fetched == 2000.0
    clock.time = 3000.0
    database.acknowledge(job, 1)
    assert (database.find(job).acknowledged, database.find(job).fetched) == (3, 2000.0)


def test_a_job_is_not_fetched_before_it_is_over(database):
    database.add([submit(1)], "a")
    database.append(Started(job=job_id(1), seq=1))
    database.acknowledge(job_id(1), 1)
    assert database.find(job_id(1)).fetched is None


def test_the_newest_come_first(database):
    for number in (1, 2, 3):
        database.add([submit(number)], "a")
    assert [record.id for record in database.jobs()] == [job_id(1), job_id(2), job_id(3)]
    assert [record.id for record in database.jobs(newest=2)] == [job_id(3), job_id(2)]
    assert [record.id for record in database.jobs(states=("running",))] == []


def test_a_jobs_files_are_its_uploads_layers_and_exports(database):
    kept = Kept(layer="cd" * 32, width=2, height=1, name="Apple", prompt="an apple")
    database.add([submit(1, foregrounds=(kept, kept))], "a")
    database.append(Started(job=job_id(1), seq=1))
    database.append(layer_begin(job_id(1), seq=2))
    database.add_file(job_id(1), "ef" * 32, 9)
    assert sorted(database.files()) == [
        (job_id(1), "ab" * 32, 4),
        (job_id(1), "cd" * 32, 8),
        (job_id(1), "ef" * 32, 9),
    ]


def test_deleting_takes_events_and_files_along_and_spares_live_jobs(database):
    job = drawn(database, 1)
    database.add([submit(2)], "a")
    database.delete([job, job_id(2)])
    assert database.find(job) is None
    assert database.events(job) == []
    assert database.files() == []
    assert database.find(job_id(2)) is not None


def test_what_a_deleted_job_needed_becomes_loose_unless_another_job_needs_it(database):
    first, _ = drawn(database, 1), drawn(database, 2)
    database.add_file(first, "ef" * 32, 9)
    database.delete([first])
    assert database.loose() == [("ef" * 32, 9, 0.0)]


def test_a_file_of_a_deleted_job_is_not_recorded(database):
    job = drawn(database, 1)
    database.delete([job])
    assert not database.add_file(job, "ef" * 32, 9)
    assert database.files() == []


def test_a_file_that_a_job_begins_to_need_is_not_removed(database):
    database.add_loose("cd" * 32, 4, "a", -1)
    kept = Kept(layer="cd" * 32, width=1, height=1, name="Apple", prompt="an apple")
    database.add([submit(1, foregrounds=(kept,))], "a")
    assert not database.remove_loose("cd" * 32, pytest.fail)
    assert database.loose() == []


def test_lists_read_no_requests(database, monkeypatch):
    drawn(database, 1)
    monkeypatch.setattr(records, "wire", None)
    (job,) = database.outlines(newest=1)
    assert (job.title, job.width, job.height) == ("a red apple + a beach at sunset", 64, 64)
    assert (job.state, job.layers, job.fetched) == ("finished", 1, None)
    assert database.ids("00000000-0000-4000-8000-0000000000") == [job_id(1)]


def test_lists_know_names_and_which_jobs_were_submitted_together(database):
    database.add([submit(1), submit(2)], "a")
    database.add([submit(3)], "a")
    assert database.rename(job_id(2), "Poster")
    assert not database.rename(job_id(9), "Poster")
    assert [(job.name, job.submission) for job in database.outlines()] == [
        ("", job_id(1)),
        ("Poster", job_id(1)),
        ("", job_id(3)),
    ]


def test_ids_are_found_by_their_beginning(database):
    database.add([submit(number) for number in (1, 2, 12)], "a")
    assert database.ids("") == [job_id(1), job_id(2), job_id(12)]
    assert database.ids(job_id(1)) == [job_id(1)]
    assert database.ids("00000000-0000-4000-8000-00000000000") == [job_id(1), job_id(2)]
    assert [database.ids(other) for other in ("1", "zz", "\U0010ffff")] == [[], [], []]


def test_a_list_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(f"{schema._JOBS} PRAGMA user_version = 1;")
        rows = [(submit(1), "finished", 12.0, 3), (submit(2, width=128), "queued", None, 0)]
        for job, state, ended, last in rows:
            values = job.job, "a", "x", records.wire.encode(job), state, 10.0, ended, last
            names = "id, client, request, submit, state, submitted, ended, last"
            old.execute(f"INSERT INTO jobs ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        names = "id, client, request, submit, state, submitted"
        old.execute(f"INSERT INTO jobs ({names}) VALUES ('x', 'a', 'x', x'3f', 'failed', 1)")
        old.commit()
    path.chmod(0o600)
    with contextlib.closing(Database(path)) as database:
        assert [(job.id, job.state, job.width) for job in database.outlines()] == [
            (job_id(1), "finished", 64),
            (job_id(2), "queued", 128),
            ("x", "failed", 1),
        ]
        assert database.outlines()[0].title == submit(1).title
        assert database.outlines()[0].submission == ""
        assert database.find(job_id(2)).submit == submit(2, width=128)
    with contextlib.closing(Database(path, read_only=True)) as database:
        assert len(database.outlines()) == 3


def test_a_list_of_an_earlier_version_cannot_be_read_before_it_is_up_to_date(tmp_path):
    path = tmp_path / "jobs.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(f"{schema._JOBS} PRAGMA user_version = 1;")
    path.chmod(0o600)
    with pytest.raises(BrokenStore, match="earlier version"):
        Database(path, read_only=True)


def test_worker_deaths_are_counted_per_request_whatever_the_seed(database, clock):
    database.note_death(submit(1, seed=1), "signal 9")
    clock.time += 100
    database.note_death(submit(2, seed=2), "signal 11")
    assert database.deaths(submit(3, seed=3), 1000) == ["signal 9", "signal 11"]
    assert database.deaths(submit(3), 50) == ["signal 11"]
    assert database.deaths(submit(3, width=128), 1000) == []
    database.forgive(submit(4))
    assert database.deaths(submit(3), 1000) == []


# ---- what can be wrong with the machine


def test_a_damaged_file_is_reported_and_not_changed(tmp_path):
    path = tmp_path / "jobs.sqlite"
    path.write_bytes(b"no database at all" * 100)
    path.chmod(0o600)
    with pytest.raises(BrokenStore, match=r"jobs\.sqlite cannot be read .* run “layerfusion jobs recover”"):
        Database(path)
    assert path.read_bytes() == b"no database at all" * 100


def test_a_file_damaged_in_the_middle_is_reported(database, tmp_path):
    for number in range(200):
        database.add([submit(number)], "a")
    database.close()
    path = tmp_path / "damaged.sqlite"
    shutil.copy(database.path, path)
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 6] = Random(0).randbytes(4096 * 5)
    path.write_bytes(data)
    with pytest.raises(BrokenStore, match="cannot be read"):
        Database(path)


def test_a_file_of_a_newer_version_is_not_changed(database):
    with sqlite3.connect(database.path) as raw:
        raw.execute("PRAGMA user_version = 99")
    with pytest.raises(BrokenStore, match="newer version"):
        Database(database.path)


def test_a_job_that_this_version_cannot_read_is_skipped(database, caplog):
    drawn(database, 1)
    drawn(database, 2)
    with sqlite3.connect(database.path) as raw:
        raw.execute("UPDATE jobs SET submit = ? WHERE id = ?", (b"\x81\xa4type\xa6submit", job_id(1)))
    assert database.find(job_id(1)) is None
    assert [record.id for record in database.jobs()] == [job_id(2)]
    assert "ignored the job" in caplog.text


def test_a_waiting_job_that_cannot_be_read_ends_at_the_next_start(database):
    database.add([submit(1), submit(2)], "a")
    database.append(Started(job=job_id(2), seq=1))
    with sqlite3.connect(database.path) as raw:
        raw.execute("UPDATE jobs SET submit = ?", (b"\x81\xa4type\xa6submit",))
    assert database.interrupt() == [job_id(1), job_id(2)]
    assert [database.events(job_id(number))[-1].code for number in (1, 2)] == ["invalid_message", "interrupted"]
    assert [job.state for job in database.outlines()] == ["failed", "interrupted"]


def test_a_full_disk_refuses_the_job_and_nothing_else(database):
    drawn(database, 1)
    pages = database._file.query("PRAGMA page_count")[0][0]
    database._file.query(f"PRAGMA max_page_count = {pages}")
    huge = submit(2, background=Generated(prompt="x" * 100_000))
    with pytest.raises(UnwritableFile, match="full"):
        database.add([huge], "a")
    assert database.find(huge.job) is None
    database._file.query("PRAGMA max_page_count = 1000000")
    database.add([huge], "a")
    assert database.find(job_id(1)).state == "finished"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="modes do not bind this user")
def test_a_read_only_folder_is_reported(tmp_path):
    folder = tmp_path / "jobs"
    folder.mkdir(mode=0o500)
    with pytest.raises(UnwritableFile, match="cannot be written"):
        Database(folder / "jobs.sqlite")


def test_a_read_only_database_is_reported(database):
    database._file.query("PRAGMA query_only = ON")
    with pytest.raises(UnwritableFile, match="readonly"):
        database.add([submit(1)], "a")


def test_reading_needs_an_existing_file(tmp_path):
    with pytest.raises(UnwritableFile):
        Database(tmp_path / "jobs.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_only_the_owner_can_read_it(database):
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
