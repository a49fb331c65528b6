"""What it costs to start: what `layerfusion benchmark --start` measures, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from layerfusion.server.cli.console import CommandError, UsageError

TIMES = 3
_PICTURE = ["generate", "a red apple", "--background", "a beach at sunset", "--seed", "1", "--quiet", "--model", "tiny"]


@dataclass(frozen=True)
class StartingCost:
    """Processor seconds, user and system, of all threads of a whole process, of every time. The least counts.

    Attributes:
        help: of `layerfusion --help`.
        first_step: of `layerfusion generate` with the embedded model and one step: nearly all of it is starting.
        picture: of the same with the model's own number of steps.
    """

    help: tuple[float, ...]
    first_step: tuple[float, ...]
    picture: tuple[float, ...]


def measure(times: int = TIMES) -> StartingCost:
    """Run the commands, `times` times in turn.

    Raises:
        UsageError: the system does not say what a process cost.
        CommandError: a command fails.
    """
    if sys.platform == "win32":
        raise UsageError("--start needs a system that says what processor time a finished process took.")
    costs: list[list[float]] = [[], [], []]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):  # one of each in turn, so that what else the machine does hits all of them
            out = ["--out", str(Path(folder) / f"{number}.png")]
            once = [*_PICTURE, *out, "--steps", "1", "--overwrite"]
            for found, command in zip(costs, (["--help"], once, [*_PICTURE, *out, "--overwrite"]), strict=True):
                found.append(_cost(command))
    return StartingCost(*map(tuple, costs))


def _cost(arguments: list[str]) -> float:
    before = os.times()
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-P", "-m", "layerfusion.server", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CommandError(f"“layerfusion {arguments[0]}” failed: {done.stderr.strip()[-200:]}")
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
