"""`layerfusion jobs`: listing, showing, exporting and pruning jobs."""

import re
import time
from contextlib import closing

import numpy as np
import pytest

import scripted
from layerfusion.engine import formats
from layerfusion.server.cli.main import main
from layerfusion.server.config import database, layers
from layerfusion.server.protocol import location
from layerfusion.server.protocol.errors import Quarantined
from layerfusion.server.protocol.messages import Done, Failed, Generated, Started
from layerfusion.server.queue.quarantine import Quarantine
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.lock import FolderLock
from layerfusion.server.storage.rescue import back_up
from running import Running
from samples import layer_begin, submit

DAY = 24 * 3600.0


def job_id(number):
    return f"{number:08d}-0000-4000-8000-000000000000"


@pytest.fixture
def folder(tmp_path):
    """A folder with three jobs: a finished one, one that failed long ago, and a waiting one."""
    folder = tmp_path / "jobs"
    folder.mkdir(mode=0o700)
    store = LayerStore(layers(folder))
    clock = [time.time() - 40 * DAY]
    records = Database(database(folder), now=lambda: clock[0], service=lambda: clock[0])
    add(records, 2)
    records.append(Started(job=job_id(2), seq=1))
    records.append(Failed(job=job_id(2), seq=2, code="out_of_memory", message="Too large.", hint="Draw less."))
    clock[0] = time.time() - DAY
    add(records, 1)
    records.append(Started(job=job_id(1), seq=1))
    for index in (0, 1):
        records.append(layer(job_id(1), index, store.put(scripted.bgra(1, index, 8))))
    records.append(Done(job=job_id(1), seq=4, layers=2))
    add(records, 3)
    clock[0] = time.time()
    records.save_service()
    records.close()
    return folder


def add(records, number):
    background = Generated(prompt=f"beach {number}\x1b[31m")
    records.add([submit(job_id(number), height=96, background=background)], "a")


def layer(job, index, digest):
    role = "background" if index == 0 else "foreground"
    more = {"width": 8, "height": 8, "bytes": 256, "sha256": digest}
    return layer_begin(job, seq=2 + index, index=index, name=f"Layer {index}", role=role, **more)


def run(capsys, *arguments):
    code = main(["jobs", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_newest_are_listed_first(folder, capsys):
    code, out, _ = run(capsys, "list", "--folder", folder)
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines[:3]] == [job_id(3), job_id(1), job_id(2)]
    assert [line.split()[1] for line in lines[:3]] == ["queued", "finished", "failed"]
    assert "64x96  2 layers  a red apple + beach 1" in lines[1]
    assert lines[3:] == ["3 jobs"]
    assert "\x1b" not in out
    assert len(run(capsys, "list", "--folder", folder, "--newest", "1")[1].splitlines()) == 2


def test_a_job_is_shown_by_the_beginning_of_its_id(folder, capsys):
    code, out, _ = run(capsys, "show", "00000002", "--folder", folder)
    assert code == 0
    assert "failed: out_of_memory: Too large. Draw less." in out
    assert "canvas     64x96 px, model tiny, seed 0" in out


@pytest.mark.parametrize(("job", "words"), [("ffff", "There is no job “ffff”"), ("0000", "3 jobs begin with “0000”")])
def test_an_unknown_job_is_named_in_the_error(folder, capsys, job, words):
    code, _, err = run(capsys, "show", job, "--folder", folder)
    assert (code, words in err) == (2, True)


def test_a_finished_job_is_exported(folder, capsys, tmp_path):
    out = tmp_path / "apple.psd"
    assert run(capsys, "export", job_id(1), out, "--folder", folder)[0] == 0
    stack = formats.load(out)
    assert [np.array_equal(each.pixels, scripted.pixels(1, i, 8)) for i, each in enumerate(stack)] == [True, True]


@pytest.mark.parametrize(("number", "words"), [(2, "is failed"), (3, "is queued")])
def test_an_unfinished_job_is_not_exported(folder, capsys, tmp_path, number, words):
    code, _, err = run(capsys, "export", job_id(number), tmp_path / "apple.psd", "--folder", folder)
    assert (code, words in err) == (1, True)
    assert not (tmp_path / "apple.psd").exists()


def test_a_lost_layer_is_reported(folder, capsys, tmp_path):
    next(iter(layers(folder).glob("??/*"))).unlink()
    code, _, err = run(capsys, "export", job_id(1), tmp_path / "apple.psd", "--folder", folder)
    assert (code, "is missing" in err) == (1, True)


def test_old_jobs_are_pruned_and_unfetched_jobs_of_this_week_are_kept(folder, capsys):
    code, out, _ = run(capsys, "prune", "--folder", folder)
    assert (code, out) == (0, "1 jobs removed, 2 kept, 0.0 MB\n")
    code, out, _ = run(capsys, "prune", "--folder", folder, "--days", "0", "--gigabytes", "0")
    assert out == "0 jobs removed, 2 kept, 0.0 MB\n"
    assert run(capsys, "export", job_id(1), folder / "apple.ora", "--folder", folder)[0] == 0


def test_fetched_jobs_are_old_by_the_users_calendar(folder, capsys):
    with closing(Database(database(folder), service=lambda: 0.0)) as records:
        records.save_service()
        records.acknowledge(job_id(1), 4)
    assert run(capsys, "prune", "--folder", folder, "--days", "2")[1].startswith("0 jobs removed, 3 kept")
    assert run(capsys, "prune", "--folder", folder, "--days", "0.5")[1].startswith("1 jobs removed, 2 kept")


def test_old_jobs_are_pruned_while_the_server_runs(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(folder, job_seconds=1e9) as server:
        with server.client() as client:
            client.cancel(job_id(3))
        code, out, err = run(capsys, "prune", "--folder", folder)
        assert (code, err) == (0, "")
        assert "1 jobs removed, 2 kept" in out
        code, _, err = run(capsys, "prune", "--folder", folder, "--orphans")
        assert (code, "used by a running server" in err) == (1, True)


def test_files_of_no_job_are_kept_until_they_are_named(folder, capsys):
    digest = LayerStore(layers(folder)).put(b"from a list that is lost")
    out = run(capsys, "prune", "--folder", folder)[1]
    assert "1 files of no job, 0.0 MB: kept; --orphans removes them" in out
    assert "1 files of no job, 0.0 MB: removed" in run(capsys, "prune", "--folder", folder, "--orphans")[1]
    assert not LayerStore(layers(folder)).has(digest)
    assert "of no job" not in run(capsys, "prune", "--folder", folder)[1]


def test_a_damaged_database_is_reported(folder, capsys):
    database(folder).write_bytes(b"x" * 5000)
    for action in ("list", "prune"):
        code, _, err = run(capsys, action, "--folder", folder)
        assert (code, "run “layerfusion jobs recover”" in err) == (1, True)


def test_a_damaged_list_is_recovered_from_its_backup(folder, capsys, tmp_path):
    with closing(Database(database(folder))) as records:
        back_up(records, folder)
    database(folder).write_bytes(b"x" * 5000)
    code, out, _ = run(capsys, "recover", "--folder", folder)
    assert (code, out.splitlines()[0].split(", from")[0]) == (0, "3 jobs and 2 layers are back")
    assert run(capsys, "export", job_id(1), tmp_path / "apple.ora", "--folder", folder)[0] == 0
    code, _, err = run(capsys, "recover", "--folder", tmp_path)
    assert (code, "nothing to recover" in err) == (2, True)


def test_without_a_server_there_are_no_jobs(tmp_path, capsys):
    for action in ("list", "prune"):
        assert run(capsys, action, "--folder", tmp_path)[:2] == (0, "No jobs.\n")
    assert run(capsys, "show", "00", "--folder", tmp_path)[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_invalid_numbers_are_named_in_the_error(subtests, capsys):
    for arguments in [("list", "--newest", "0"), ("prune", "--days", "-1"), ("prune", "--gigabytes", "many")]:
        with subtests.test(arguments=arguments):
            code, _, err = run(capsys, *arguments)
            assert (code, re.search(r"is no (whole )?number from", err) is not None) == (2, True)


def test_jobs_are_deleted_with_their_prompts_and_pictures(folder, capsys):
    code, out, _ = run(capsys, "delete", "00000001", "00000002", "--folder", folder)
    assert (code, out) == (0, f"{job_id(1)} deleted\n{job_id(2)} deleted\n")
    assert [path.name for path in layers(folder).rglob("*") if path.is_file()] == []
    left = b"".join(path.read_bytes() for path in folder.glob("jobs.sqlite*"))
    assert (b"beach 1" in left, b"beach 3" in left) == (False, True)


def test_nothing_is_deleted_if_one_of_the_jobs_is_unknown(folder, capsys):
    code, _, err = run(capsys, "delete", "00000001", "ffff", "--folder", folder)
    assert (code, "There is no job “ffff”" in err) == (2, True)
    assert len(run(capsys, "list", "--folder", folder)[1].splitlines()) == 4


def test_a_waiting_job_is_not_deleted(folder, capsys):
    code, _, err = run(capsys, "delete", "00000003", "--folder", folder)
    assert (code, "Cancel it first" in err) == (1, True)


def test_jobs_are_deleted_while_the_server_runs(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(folder):
        assert run(capsys, "delete", "00000001", "--folder", folder)[0] == 0
        assert job_id(1) not in run(capsys, "list", "--folder", folder)[1]
    assert [path.name for path in layers(folder).rglob("*") if path.is_file()] == []


def test_nothing_is_deleted_under_a_server_that_is_not_found(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    lock = FolderLock(folder)
    code, _, err = run(capsys, "delete", "00000001", "--folder", folder)
    lock.release()
    assert (code, "used by a running server" in err) == (1, True)


def test_a_quarantined_request_is_released_while_the_server_runs(folder, capsys):
    lock = FolderLock(folder)
    with closing(Database(database(folder))) as records:
        job = records.find(job_id(2)).submit
        for _ in range(2):
            records.note_death(job, "signal 9")
        with pytest.raises(Quarantined, match="jobs release"):
            Quarantine(records).check(job)
        assert run(capsys, "release", "00000002", "--folder", folder)[0] == 0
        Quarantine(records).check(job)
    lock.release()
