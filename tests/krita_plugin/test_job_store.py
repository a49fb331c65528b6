"""Saved jobs, which another Krita takes over after the first has ended."""

import json
import os
import stat
import subprocess
import sys

import pytest

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"


@pytest.fixture
def jobs(plugin, tmp_path):
    from krita_layerfusion.job_store import JobStore

    return JobStore(tmp_path / "jobs")


@pytest.fixture
def job(plugin):
    from krita_layerfusion.jobs import PendingJob, Placement
    from krita_layerfusion.protocol.messages import Generated, Kept, Submit

    return PendingJob(
        submit=Submit(
            job=JOB,
            width=64,
            height=64,
            background=Generated(prompt="a beach"),
            foregrounds=(Kept(layer="ab" * 32, width=1, height=1, name="Apple 😀", prompt="an apple"),),
            model="tiny",
        ),
        placement=Placement("{doc}", "Sketch.kra", "{root}", None),
        title="an apple + a beach",
        record={"seed": 5, "steps": None},
        artists=(),
        warning="note",
    )


def of_an_ended_krita(tmp_path):
    """Change the file as if a process that has ended had written it."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (file,) = (tmp_path / "jobs").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "pid": ended.pid}))
    return file


def test_a_job_is_taken_once_its_krita_has_ended(jobs, job, tmp_path):
    jobs.save(job)
    assert jobs.take_left() == []
    file = of_an_ended_krita(tmp_path)
    (left,) = jobs.take_left()
    assert (left.submit, left.placement, left.title) == (job.submit, job.placement, job.title)
    assert (left.record, left.warning, left.accepted) == (job.record, "note", True)
    assert json.loads(file.read_text())["pid"] == os.getpid()
    assert jobs.take_left() == []


def test_a_forgotten_job_is_deleted(jobs, job, tmp_path):
    jobs.save(job)
    jobs.forget(JOB)
    jobs.forget(JOB)
    assert list((tmp_path / "jobs").iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}', '{"pid": null, "submit": {}}'])
def test_a_file_that_cannot_be_read_is_deleted(jobs, job, tmp_path, text):
    jobs.save(job)
    file = of_an_ended_krita(tmp_path)
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "submit": {}}) if "submit" in text else text.replace("1", str(values["pid"])))
    assert jobs.take_left() == []
    assert not file.exists()


def test_an_unwritable_disk_raises_no_error(plugin, job, tmp_path):
    from krita_layerfusion.job_store import JobStore

    (tmp_path / "file").touch()
    jobs = JobStore(tmp_path / "file" / "jobs")
    jobs.save(job)
    assert jobs.take_left() == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_only_the_owner_can_read_the_prompts(jobs, job, tmp_path):
    jobs.save(job)
    (file,) = (tmp_path / "jobs").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
