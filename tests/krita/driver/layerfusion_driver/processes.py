"""The server's processes: how much work they do, and how to let a scenario see what a quick machine is through with."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

SLOWER = """
trap 'kill -CONT "$@" 2>/dev/null; exit' TERM
while kill -STOP "$@" 2>/dev/null; do sleep 0.1; kill -CONT "$@"; sleep 0.02; done
kill -CONT "$@" 2>/dev/null
"""
"""A shell's loop that lets processes run in a sixth of the time, until it is ended or they are."""


def server_pid():
    return json.loads(Path(os.environ["LAYERFUSION_RUNTIME"]).read_text())["pid"]


@contextlib.contextmanager
def slowed_down():
    """In this block the server draws six times slower, and answers as quickly as always.

    A picture is then still being drawn when the scenario has done what an artist does meanwhile, whatever the machine.
    """
    workers = [str(pid) for pid, (parent, _) in _running().items() if parent == server_pid()]
    assert workers, "the server has no process that draws"
    loop = subprocess.Popen(["/bin/sh", "-c", SLOWER, "sh", *workers])
    try:
        yield
    finally:
        loop.terminate()
        loop.wait(60)


def cpu_time():
    """Seconds of CPU time that Krita, the server and its worker have used: those of a busy machine are no longer."""
    used = _running()
    ours = {server_pid(), os.getpid()}
    ours |= {child for child, (parent, _) in used.items() if parent in ours}
    ours |= {child for child, (parent, _) in used.items() if parent in ours}
    return sum(used[each][1] for each in ours) / os.sysconf("SC_CLK_TCK")


def _running():
    """All processes: process id -> (that of its parent, ticks of CPU time)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            values = stat.read_text().rpartition(")")[2].split()
            found[int(stat.parent.name)] = int(values[1]), int(values[11]) + int(values[12])
    return found
