"""What the proofs share: a scripted server that can be killed, scripted jobs, and how their layers must look."""

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
"""Longest wait for anything; a busy machine is slow, a hanging server is forever."""

KILL = signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL


class Broken(Exception):
    """A promise that did not hold."""


def expect(holds, words):
    if not holds:
        raise Broken(words)


class ScriptedServer:
    """`scripted_server.py` on a folder, started and killed as often as one likes.

    Args:
        folder: keeps everything between two runs.
        config: of the server.
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
        """Without a warning."""
        self.process.kill()
        self.process.wait(SECONDS)
        self.process.stdin.close()

    def stop(self):
        """In good order; returns how busy its loop was."""
        self.process.stdin.close()
        expect(self.process.wait(SECONDS) == 0, "the server did not stop in good order")
        return json.loads((self.folder / "busy.json").read_text())

    def runtime(self):
        """How it is reached."""
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
    """The very bytes that the engine drew."""
    expected = scripted.bgra(job.seed, layer.begin.index, side)
    expect(layer.pixels == expected, f"layer {layer.begin.index} of job {job.job} has other bytes")


def parser(text):
    """The arguments that every proof takes."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--times", type=int, default=50, help="how often (default: 50)")
    made.add_argument("--seed", type=int, default=None, help="of the random moments (default: another one each time)")
    return made


def dice(seed):
    """Random numbers that can be had again: the seed is printed."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    return random.Random(seed)
