"""What the engine and the libraries under it are told before they are imported."""

from __future__ import annotations

import argparse
import os

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # a model is a folder on this machine, never a download
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What they read when they are imported."""

WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # of every OpenMP, among them the GNU one in torch's builds for Linux
    "KMP_BLOCKTIME": "0",  # milliseconds, of Intel's and LLVM's
}
"""Lets threads of torch sleep while they wait for each other. By default they wait at full speed: on a busy machine,
where the others are not running, that takes several times the processor time of the work."""


def prepare_libraries() -> None:
    """Set `ENVIRONMENT`, and of `WAITING` what the user has not set, for this process and those it starts.

    To be called before the engine's pipeline is imported.
    """
    os.environ.update(ENVIRONMENT)
    for name, value in WAITING.items():
        os.environ.setdefault(name, value)


MEMORY_POLICIES = ("auto", "resident", "offload", "sequential")
"""Of `engine.models.runtime.offloading`, which is not imported here."""


def add_memory(parser: argparse.ArgumentParser) -> None:
    """Declare `--memory`."""
    parser.add_argument(
        "--memory",
        choices=MEMORY_POLICIES,
        default=MEMORY_POLICIES[0],
        help="how much of the model is on the graphics card at a time (default: auto, by what is free)",
    )
