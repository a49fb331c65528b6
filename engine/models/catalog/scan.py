"""Finding what other programs have downloaded already: their model folders, read by the files' heads."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.identify import Identity, Use, identify
from layerfusion.engine.models.catalog.safetensors_header import read_header

LARGEST = 20_000
"""Files looked at in one folder before the search ends: someone has named a whole disk."""

INDEX = "model_index.json"
"""What every folder in diffusers layout has."""

_INSIDE = (
    *("models/checkpoints", "models/Stable-diffusion", "models/vae", "models/VAE", "models/loras", "models/Lora"),
    *("models/layer_model", "models/unet", "models/diffusers"),
)
"""Where ComfyUI and A1111 (with Forge) keep models, from the program's folder. InvokeAI keeps them in `models/sdxl`,
`models/core` and by key, so all of its `models` is looked at."""

_PROGRAMS = ("ComfyUI", "comfyui", "stable-diffusion-webui", "stable-diffusion-webui-forge", "invokeai", "InvokeAI")


@dataclass(frozen=True)
class Found:
    """A model file.

    Attributes:
        path: where.
        identity: what it is; None where `problem` says why that is not known.
        problem: why it cannot be read; empty if it can.
        bytes: its size.
    """

    path: Path
    identity: Identity | None
    problem: str
    bytes: int


def usual_folders(home: Path | None = None) -> tuple[Path, ...]:
    """The folders of other programs that are on this machine, where their installers put them."""
    home = home or Path.home()
    roots = [home, home / "Documents", home / "AI", home / "git"]
    if sys.platform == "win32":
        roots += [Path(f"{letter}:/") for letter in "CDE"]
        roots.append(Path(os.environ.get("LOCALAPPDATA", str(home))) / "Programs")
    folders = [root / program for root in roots for program in _PROGRAMS]
    packaged = [root / "ComfyUI_windows_portable" / "ComfyUI" for root in roots]
    # A file system that ignores case shows one folder under two names.
    return tuple({path.resolve(): path for path in [*folders, *packaged] if (path / "models").is_dir()}.values())


def scan(folder: Path) -> Iterator[Found]:
    """Every model file under a folder: another program's own one, its `models`, or any with files in it.

    Yields:
        safetensors files in the order of their paths; pickles too, as problems, so that nobody wonders where they are.

    Raises:
        BrokenModel: there is no such folder.
    """
    if not folder.is_dir():
        raise BrokenModel(f"There is no folder {folder}.", "Name a program's folder, or its models folder.")
    known = [folder / inside for inside in _INSIDE if (folder / inside).is_dir()]
    invoke = [folder / "models"] if not known and (folder / "models").is_dir() else []
    seen: set[Path] = set()
    for path in _files(known or invoke or [folder]):
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield look_at(path)


def look_at(path: Path) -> Found:
    """One file, or one folder in diffusers layout."""
    try:
        if path.is_dir():
            size = sum(file.stat().st_size for file in path.rglob("*.safetensors"))
            return Found(path, _folder_identity(path), "", size)
        size = path.stat().st_size
    except OSError as error:
        return Found(path, None, f"{path} cannot be read ({error.strerror or error}).", 0)
    try:
        return Found(path, identify(read_header(path)), "", size)
    except BrokenModel as error:
        return Found(path, None, str(error), size)


def _folder_identity(path: Path) -> Identity:
    """What a folder in diffusers layout says it is."""
    try:
        pipeline = str(json.loads((path / INDEX).read_text(encoding="utf-8")).get("_class_name", "?"))
    except (OSError, ValueError, AttributeError):
        pipeline = "?"
    if not pipeline.startswith("StableDiffusionXL"):
        return Identity(f"a folder in diffusers layout for {pipeline}", remedy="Use an SDXL model.")
    if not list((path / "unet").glob("*.safetensors")):
        return Identity("an SDXL folder without safetensors files", remedy="Get the model's .safetensors files.")
    return Identity("SDXL model, a folder in diffusers layout", Use.CHECKPOINT)


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    count = 0
    for folder in folders:
        for place, inner, names in os.walk(folder):
            if INDEX in names:
                inner.clear()
                yield Path(place)
                continue
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(names):
                count += 1
                if count > LARGEST:
                    return
                if name.lower().endswith((".safetensors", ".ckpt")):
                    yield Path(place) / name
