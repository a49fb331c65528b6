"""The program sends nothing to the internet: audit hooks watch the server and its worker while they work."""

import json
from pathlib import Path

import pytest

from layerfusion.server.client.client import new_job
from layerfusion.server.protocol.messages import Done, Generated, Submit
from serving import SECRET, worker_of


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the process that draws is found in /proc")
def test_serving_and_drawing_open_no_connection_and_log_no_prompt(server):
    """The same is checked for all tests of this folder when the server stops."""
    job = Submit(
        job=new_job(),
        width=64,
        height=64,
        background=Generated(prompt="a beach at sunset"),
        foregrounds=(Generated(prompt=SECRET),),
        model="tiny",
        steps=1,
    )
    with server.connect() as client:
        client.submit(job)
        *_, last = client.events(job.job)
    assert isinstance(last, Done)
    token = json.loads(server.runtime_file.read_text())["token"]
    assert {server.process.pid, worker_of(server.process)} <= server.guarded(), "both were watched"
    assert not server.blocked.exists(), server.blocked.read_text()
    log = server.log.read_text()
    assert "Listening on ws://127.0.0.1:" in log
    assert SECRET not in log
    assert token not in log
