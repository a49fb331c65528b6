"""Shared code of the proofs: a scripted server that can be killed, scripted jobs, and their expected layers."""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import scripted
from layerfusion.server.client.client import Client, Layer, new_job
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Generated, Submit

sys.path.append(str(Path(__file__).parents[1] / "support"))  # as pytest does, for a proof that is run by itself

SECONDS = 120
"""Longest wait for anything, in seconds: long enough for a busy machine, but it ends if a server hangs."""

KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


class Broken(Exception):
    """A proof has failed."""


def expect(holds, words):
    if not holds:
        raise Broken(words)


class ScriptedServer:
    """`scripted_server.py` with a folder; it can be started and killed any number of times.

    Args:
        folder: keeps the server's data between two runs.
        config: the server's configuration.
    """

    def __init__(self, folder, **config):
        self.folder = folder
        self._runtime = folder / "server.json"
        self._command = [sys.executable, str(Path(__file__).with_name("scripted_server.py")), str(folder)]
        self._command += [f"{name}={value}" for name, value in config.items()]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        root = Path(__file__).parents[2]
        paths = [str(root), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        deadline = time.monotonic() + SECONDS
        while self._pid() != self.process.pid:
            expect(self.process.poll() is None, f"the server did not start; see {self.folder / 'log'}")
            expect(time.monotonic() < deadline, "the server did not start in time")
            time.sleep(0.02)

    def _pid(self):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(self._runtime.read_text())["pid"]
        return None

    def kill(self):
        """Kill the server without warning."""
        self.process.kill()
        self.process.wait(SECONDS)
        self.process.stdin.close()

    def stop(self):
        """Stop the server in an orderly way, and return how busy its event loop was."""
        self.process.stdin.close()
        expect(self.process.wait(SECONDS) == 0, "the server did not stop in good order")
        return json.loads((self.folder / "busy.json").read_text())

    def runtime(self):
        """The server's runtime file."""
        return location.Runtime.from_map(json.loads(self._runtime.read_text()))

    def connect(self):
        return Client.connect(self.runtime(), timeout=SECONDS)


def submit(script="layers=2", **values):
    """A job for the scripted engine."""
    defaults = {
        "job": new_job(),
        "width": 64,
        "height": 64,
        "background": Generated(prompt="b"),
        "foregrounds": (Generated(prompt="a"),),
        "blended_prompt": script,
        "model": "tiny",
        "steps": 2,
    }
    return Submit(**{**defaults, **values})


def check_layer(layer: Layer, job, side):
    """The exact bytes that the engine drew."""
    expected = scripted.bgra(job.seed, layer.begin.index, side)
    expect(layer.pixels == expected, f"layer {layer.begin.index} of job {job.job} has other bytes")


def parser(text):
    """A parser with the arguments of every proof."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--times", type=int, default=50, help="how often (default: 50)")
    made.add_argument("--seed", type=int, default=None, help="of the random moments (default: another one each time)")
    return made


def dice(seed):
    """A reproducible random number generator; its seed is printed."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    return random.Random(seed)
