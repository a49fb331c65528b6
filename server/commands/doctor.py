"""`layerfusion doctor`: what is installed, what it can use, and what would help."""

from __future__ import annotations

import argparse
import platform
import shutil
from collections.abc import Iterator
from importlib import metadata

from engine.errors import BrokenModel
from engine.models.registry import available_models
from server.console import CommandError, say

_PACKAGES = ("layerfusion", "torch", "diffusers", "transformers", "safetensors", "psd-tools", "pillow", "websockets")
_TORCH_GUIDE = "https://pytorch.org/get-started/locally/"


def run(_arguments: argparse.Namespace) -> None:
    """Print what was found, one line each.

    Raises:
        CommandError: nothing could be drawn with this installation.
    """
    say(f"Python {platform.python_version()} on {platform.platform()}")
    for package in _PACKAGES:
        say(f"{package} {metadata.version(package)}")
    try:
        for line in _devices():
            say(line)
        for spec in available_models():
            size = sum(file.stat().st_size for file in spec.folder.rglob("*") if file.is_file())
            if size == 0:
                raise BrokenModel(f"The weights of “{spec.name}” are missing ({spec.folder}).", "Install it again.")
            say(f"model {spec.name}: {spec.title}, {size / 1e6:.0f} MB in {spec.folder}")
    except (ImportError, OSError, BrokenModel) as error:
        raise CommandError(f"Nothing can be drawn: {error}") from error
    krita = shutil.which("krita")
    say(f"Krita: {krita}" if krita else "Krita: not on the PATH (no matter if it is installed as an app)")


def _devices() -> Iterator[str]:
    """The devices torch sees, and advice where the machine has one it cannot use."""
    import torch

    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        yield f"GPU {index}: {name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    if torch.backends.mps.is_available():
        yield "GPU: Apple, through Metal"
    elif torch.cuda.device_count() == 0:
        yield f"GPU: none that torch {torch.__version__} can use; the CPU draws, with {torch.get_num_threads()} threads"
        if shutil.which("nvidia-smi"):
            yield f"This machine has an NVIDIA driver: install the CUDA build of torch ({_TORCH_GUIDE})"
