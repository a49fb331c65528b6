"""Kill an actor, a node of the cluster, or the server at random moments, where Ray draws on two nodes of this machine.

It proves that every acknowledged job ends and is known afterwards, that every finished layer can be fetched and is the
same, and that jobs are drawn after each death. It needs the extra `ray`, and Linux to find the actors' processes.
"""

import importlib.util
import os
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

from kill_server import JOBS, LAYERS, SIDE, STEP, Ledger, check, work_until_killed
from layerfusion.server.protocol.messages import Done, Failed
from proving import KILL, SECONDS, ScriptedServer, dice, expect, parser, submit

DEATHS = ("actor", "node", "server")
FAILURES = ("interrupted", "worker_died")


def prove(times, seed=None):
    """Kill something `times` times, each of `DEATHS` in turn, and print the figures."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),  # actors import `scripted`
    }
    with mock.patch.dict(os.environ, environment):
        return _prove(times, dice(seed), Ledger())


def _prove(times, random, ledger):
    from ray.cluster_utils import Cluster  # it reads the environment

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        server = ScriptedServer(Path(folder), executor="ray", ray_address=cluster.address, workers=2, cancel_seconds=1)
        server.start()
        try:
            for number in range(times):
                death = DEATHS[number % len(DEATHS)]
                moment = random.uniform(0.2, 2)
                ended = len(ledger.ended)
                if death == "server":
                    work_until_killed(server, ledger, time.monotonic() + moment, number, first=JOBS)
                    server.start()
                    continue
                killing = threading.Timer(moment, kill_actor if death == "actor" else nodes.pop().kill_raylet)
                killing.start()
                work(server, ledger, number)
                killing.join()
                if death == "node":
                    nodes.append(cluster.add_node(num_cpus=1))
                expect(len(ledger.ended) > ended, "no job ended")
            with server.connect() as client:
                last = submit(seed=1)
                client.submit(last)
                expect(isinstance(list(client.events(last.job))[-1], Done), "the last job was not drawn")
            check(server, ledger, FAILURES)
        finally:
            server.kill()
            cluster.shutdown()
    codes = [event.code if isinstance(event, Failed) else "done" for event in ledger.ended.values()]
    print(f"{times} deaths of {', '.join(DEATHS)} in turn: {len(ledger.jobs)} jobs acknowledged and known afterwards")
    print(", ".join(f"{codes.count(code)} {code}" for code in ("done", *FAILURES)))
    print(f"{len(ledger.layers)} finished layers, all fetched and the same")
    return ledger


def work(server, ledger, number):
    """Submit a few jobs and receive all their events."""
    with server.connect() as client:
        jobs = [
            submit(
                f"seconds={STEP * 5} layers={LAYERS} side={SIDE}",
                seed=number * JOBS + index,
                width=64 + number,
                steps=5,
            )
            for index in range(JOBS)
        ]
        for job in jobs:
            client.submit(job)
            ledger.jobs[job.job] = job
        for job in jobs:
            for event in client.events(job.job):
                ledger.note(event)


def kill_actor():
    """Kill one of our processes that draw; wait until there is one."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                drawing = (process / "cmdline").read_bytes().startswith(b"ray::Actor") and is_ours(process)
            except OSError:
                continue
            if drawing:
                os.kill(int(process.name), KILL)
                return
        time.sleep(0.01)


def is_ours(process):
    """Whether this process has started another one, or one that has started it: there may be other clusters here."""
    while process.name not in ("0", "1"):
        if process.name == str(os.getpid()):
            return True
        process = process.with_name((process / "stat").read_text().rpartition(")")[2].split()[1])
    return False


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    if importlib.util.find_spec("ray") is None:
        sys.exit("pip install 'layerfusion[ray]' first")
    prove(arguments.times, arguments.seed)
