"""Runs `layerfusion serve` as a process, in a folder with Python files that must not be run."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from layerfusion.server.client.client import Client
from layerfusion.server.protocol import location
from started import children
from traps import set_traps

SECONDS = 100

SECRET = "my unannounced character"
"""A prompt that must not appear in the log."""

GUARD = """
import os, sys

def guard(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else ""
    elif event == "socket.getaddrinfo":
        host = arguments[0] or ""
    else:
        return
    if host not in ("", "127.0.0.1", "::1", "localhost"):
        with open(os.environ["BLOCKED"], "a") as log:
            print(event, host, file=log)
        raise OSError(f"blocked: {event} {host}")

sys.addaudithook(guard)
with open(os.environ["BLOCKED"] + ".guarded", "a") as log:
    print(os.getpid(), file=log)
"""


class Server:
    """`layerfusion serve` as a process that can reach no network but loopback.

    Args:
        folder: the folder for all its files.
    """

    def __init__(self, folder):
        self.runtime_file = folder / "runtime" / "server.json"
        self.blocked = folder / "blocked"
        self.log = folder / "log"
        (folder / "guard").mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(GUARD)
        self.environment = {
            **os.environ,
            location.VARIABLE: str(self.runtime_file),
            "BLOCKED": str(self.blocked),
            "PYTHONPATH": os.pathsep.join(  # an empty part would be the current folder
                filter(None, [str(folder / "guard"), os.environ.get("PYTHONPATH")])
            ),
        }
        self._folder = folder / "traps"
        self._folder.mkdir()
        self.run_by_mistake = set_traps(self._folder)
        self._command = [
            sys.executable,
            "-P",
            "-m",
            "layerfusion.server",
            "serve",
            "--port",
            "0",
            "--folder",
            str(folder / "layers"),
        ]
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Kill the server, also after a failed test."""
        self.process.kill()
        self.process.wait(SECONDS)

    def guarded(self):
        """The ids of all processes that ran with the guard."""
        return {int(line) for line in Path(f"{self.blocked}.guarded").read_text().split()}

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self.environment, cwd=self._folder, stdout=log, stderr=log
            )
        wait_until(self.is_announced)

    def is_announced(self):
        assert self.process.poll() is None, f"the server ended: {self.log.read_text()}"
        with contextlib.suppress(OSError):
            return json.loads(self.runtime_file.read_text())["pid"] == self.process.pid
        return False

    def stop(self):
        self.process.terminate()
        return self.process.wait(SECONDS)

    def connect(self):
        runtime = location.Runtime.from_map(json.loads(self.runtime_file.read_text()))
        return Client.connect(runtime, timeout=SECONDS)


def wait_until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {condition.__name__}"
        time.sleep(0.02)


def worker_of(process):
    """Wait for a server's worker and return its process id."""
    wait_until(lambda: _workers(process))
    (worker,) = _workers(process)
    return worker


def _workers(process):
    return {child for child in children(Path(f"/proc/{process.pid}")) if b"spawn_main" in cmdline(child)}


def cmdline(pid):
    """The command line of a process; empty after it has ended, also if it is a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
