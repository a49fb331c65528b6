"""`layerfusion doctor`: what is installed, what it can use, what is missing and how to get it."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.readiness import missing, parts
from layerfusion.engine.models.catalog.registry import known_models, manifests_folder
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.krita_plugin.package import krita_folders
from layerfusion.server.cli.console import CommandError, say
from layerfusion.server.config import DEFAULT_PORT, default_folder
from layerfusion.server.net.announce import ask
from layerfusion.server.protocol import location

_PACKAGES = ("layerfusion", "torch", "diffusers", "transformers", "safetensors", "psd-tools", "pillow", "websockets")
_TORCH_GUIDE = "https://pytorch.org/get-started/locally/"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `doctor`."""
    parser.description = "Check the installation and say what is missing."
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> None:
    """Print what was found, one line each.

    Raises:
        CommandError: nothing could be drawn with this installation.
    """
    say(f"Python {platform.python_version()} on {platform.platform()}")
    for package in _PACKAGES:
        say(f"{package} {metadata.version(package)}")
    _probe()
    try:
        for lines in (_devices(), _models()):
            for line in lines:
                say(line)
    except (ImportError, OSError, BrokenModel) as error:
        raise CommandError(f"Nothing can be drawn: {error}") from error
    for lines in (_server(), _krita()):
        for line in lines:
            say(line)


def _probe() -> None:
    """Import what draws in another process, because a broken installation may end the process that does.

    Raises:
        CommandError: it cannot be imported.
    """
    arguments = [sys.executable, "-P", "-c", "import layerfusion.engine.pipeline"]
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode != 0:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        said = done.stderr.strip().rpartition("\n")[2]
        raise CommandError(
            f"Nothing can be drawn: importing the engine ended with {how}{f' ({said})' if said else ''}."
        )


def _devices() -> Iterator[str]:
    """The devices torch sees, and advice where the machine has one it cannot use."""
    import torch

    from layerfusion.engine.models.runtime.devices import best_device, free_bytes

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
    free = free_bytes(torch.device("cpu"))
    if free is not None:
        yield f"Main memory: {free / 2**30:.1f} GiB free"
    yield f"Drawing happens on: {best_device()}"


def _models() -> Iterator[str]:
    """What each model has and lacks, and the command that fetches it."""
    specs, broken = known_models()
    for spec in specs:
        lost = missing(spec)
        if lost:
            yield f"model {spec.name}: {spec.title}, NOT complete"
            for part in lost:
                yield f"  missing {part.role}: {part.source}{f', {part.size}' if part.size else ''}"
            yield f"  get it: layerfusion models pull {spec.name}"
        else:
            yield f"model {spec.name}: {spec.title}, ready, {_size(spec) / 1e6:,.0f} MB"
    for error in broken:
        yield f"model manifest not read: {error}"
    if all(spec.demo for spec in specs):
        yield "No SDXL model yet. Get one: layerfusion models pull sdxl (7.9 GB), or use yours: layerfusion models scan"
    yield f"Your models' manifests: {manifests_folder()}"


def _size(spec: ModelSpec) -> int:
    """Bytes of all parts of a complete model.

    Raises:
        BrokenModel: a part is an empty folder.
    """
    total = 0
    for part in parts(spec):
        path = part.path or Path()
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        if size == 0:
            raise BrokenModel(f"The {part.role} of “{spec.name}” is empty ({path}).", "Install or fetch it again.")
        total += size
    return total


def _server() -> Iterator[str]:
    """Whether it runs, where, and where clients learn of it."""
    runtime = location.read()
    if runtime is not None and runtime.is_elsewhere:
        yield f"Server: on another machine, at {runtime.url} (layerfusion connect --off ends this)"
    elif runtime is not None:
        yield f"Server: running at {runtime.url} (process {runtime.pid}, version {runtime.version})"
        said = ask(runtime)
        if said is None:
            yield "  it does not answer"
        yield from (f"  {line}" for line in (said or "").splitlines()[1:])
    else:
        free = _is_free(DEFAULT_PORT)
        state = "free" if free else "taken by another program; the server would take any free one"
        yield f"Server: not running (layerfusion serve); its port {DEFAULT_PORT} is {state}"
    kept = default_folder()
    yield f"Jobs and their layers: {kept}{'' if kept.exists() else ', made when the server runs'}"
    where, note = location.path(), ""
    if where.exists() and not location.is_secret(where.stat()):
        note = ": other users can read it; delete it and start the server again"
    elif not where.exists():
        note = ", written when the server runs"
    yield f"Token file: {where}{note}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _krita() -> Iterator[str]:
    """The program, and whether the plugin is in it."""
    program = next((path for path in _krita_programs() if path.exists()), None)
    yield (
        f"Krita: {program}"
        if program
        else "Krita: not found where programs usually are (no matter if you can start it)"
    )
    plugin = krita_folders().resources / "pykrita" / "layerfusion"
    yield (
        f"Krita plugin: in {plugin}" if plugin.is_dir() else "Krita plugin: not installed (layerfusion plugin install)"
    )


def _krita_programs() -> Iterator[Path]:
    on_path = shutil.which("krita")
    if on_path:
        yield Path(on_path)
    if sys.platform == "win32":
        for variable in ("ProgramFiles", "ProgramW6432", "LOCALAPPDATA"):
            root = os.environ.get(variable)
            if root:
                yield Path(root) / "Krita (x64)" / "bin" / "krita.exe"
    elif sys.platform == "darwin":
        yield Path("/Applications/krita.app")
        yield Path.home() / "Applications" / "krita.app"
    else:
        yield Path("/var/lib/flatpak/app/org.kde.krita")
        yield Path.home() / ".local/share/flatpak/app/org.kde.krita"
        yield Path("/snap/bin/krita")
