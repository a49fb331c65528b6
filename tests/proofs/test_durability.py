"""The short forms of the proofs; `python tests/proofs/NAME.py --times N` runs a long form."""

import importlib.util
import subprocess
import sys

import pytest

import deliver_layers
import drop_client
import kill_ray
import kill_server
import kill_worker
import many_clients
import many_jobs
from layerfusion.server.protocol import location

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def runtime_file(monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))


def test_the_worker_may_be_killed_at_any_moment():
    kill_worker.prove(2)


def test_the_server_may_be_killed_at_any_moment():
    ledger = kill_server.prove(1)
    assert ledger.jobs


def test_actors_and_nodes_may_be_killed_at_any_moment():
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra `ray`")
    if sys.platform != "linux":
        pytest.skip("finds the actors' processes in /proc")
    command = [sys.executable, kill_ray.__file__, "--times", "3"]  # its own process: Ray reads its token only once
    proof = subprocess.run(command, capture_output=True, text=True, check=False)
    assert proof.returncode == 0, proof.stderr
    assert "12 jobs acknowledged and known afterwards" in proof.stdout


def test_the_client_may_be_dropped_at_any_moment():
    assert drop_client.prove(8) == 8


def test_many_clients_are_served_in_turns():
    many_clients.prove(6, 3)
    many_clients.prove(6, 3, workers=3)


def test_many_jobs_leave_nothing_behind():
    many_jobs.prove(40, measures=4)


def test_layers_are_delivered_complete_and_the_delivery_is_timed():
    assert all(seconds > 0 for seconds in deliver_layers.prove(2))
