"""Finding models that other programs have downloaded, by the headers of the files in their folders.

Used by `layerfusion models scan`.
"""

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
"""Files after which a search ends, because the folder is probably a whole disk."""

INDEX = "model_index.json"
"""A file that every model in diffusers layout has."""

_INSIDE = (
    *("models/checkpoints", "models/Stable-diffusion", "models/vae", "models/VAE", "models/loras", "models/Lora"),
    *("models/layer_model", "models/unet", "models/diffusion_models", "models/diffusers", "models/embeddings"),
    *("Models/StableDiffusion", "Models/VAE", "Models/Lora", "Models/Embeddings"),
)
"""The model folders of ComfyUI, A1111 (with Forge), Fooocus, SwarmUI and StabilityMatrix, relative to the program's
folder. InvokeAI has no such fixed folders; all of its `models` is searched."""

_PROGRAMS = ("ComfyUI", "comfyui", "stable-diffusion-webui", "stable-diffusion-webui-forge", "invokeai", "InvokeAI")


@dataclass(frozen=True)
class Found:
    """A model file that was found, or a folder in diffusers layout.

    Attributes:
        path: its path.
        identity: what it is; None if it cannot be read.
        problem: why it cannot be read; empty if it can.
        bytes: its size in bytes.
    """

    path: Path
    identity: Identity | None
    problem: str
    bytes: int


def usual_folders(home: Path | None = None) -> tuple[Path, ...]:
    """The folders of other programs on this machine, as far as they are where the programs' installers put them."""
    home = home or Path.home()
    roots = [home, home / "Documents", home / "AI", home / "git"]
    if sys.platform == "win32":
        roots += [Path(f"{letter}:/") for letter in "CDE"]
        roots.append(Path(os.environ.get("LOCALAPPDATA", str(home))) / "Programs")
    folders = [root / program for root in roots for program in _PROGRAMS]
    packaged = [root / "ComfyUI_windows_portable" / "ComfyUI" for root in roots]
    # On a file system that ignores case, two of these names may be the same folder.
    return tuple({path.resolve(): path for path in [*folders, *packaged] if (path / "models").is_dir()}.values())


def scan(folder: Path) -> Iterator[Found]:
    """Inspect every model file in a folder and its sub-folders.

    Args:
        folder: another program's folder, its `models` folder, or any folder with model files.

    Yields:
        safetensors files and folders in diffusers layout, in the order of their paths. Pickles are included with a
        problem, so that the user sees why they are not used.

    Raises:
        BrokenModel: the folder does not exist.
    """
    if not folder.is_dir():
        raise BrokenModel(f"There is no folder {folder}.", "Give a program's folder, or its models folder.")
    known = [folder / inside for inside in _INSIDE if (folder / inside).is_dir()]
    invoke = [folder / "models"] if not known and (folder / "models").is_dir() else []
    seen: set[Path] = set()
    for path in _files(known or invoke or [folder]):
        if path.resolve() not in seen:
            seen.add(path.resolve())
            yield inspect_path(path)


def inspect_path(path: Path) -> Found:
    """Inspect one file, or one folder in diffusers layout."""
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
    except (IndexError, KeyError, ValueError, TypeError) as error:  # tensors of shapes that no known file has
        return Found(path, None, f"{path} has tensors of unusual shapes ({error}).", size)


def _folder_identity(path: Path) -> Identity:
    """Identify a folder in diffusers layout by its `model_index.json`."""
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
    count, walked = 0, set[str]()
    for folder in folders:
        for current, subfolders, names in os.walk(folder, followlinks=True):
            if os.path.realpath(current) in walked:  # a link that leads back
                subfolders.clear()
                continue
            walked.add(os.path.realpath(current))
            if INDEX in names:
                subfolders.clear()
                yield Path(current)
                continue
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                count += 1
                if count > LARGEST:
                    return
                if name.lower().endswith((".safetensors", ".sft", ".ckpt", ".gguf")):
                    yield Path(current) / name
