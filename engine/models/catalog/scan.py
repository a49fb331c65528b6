"""Finding models that other programs have downloaded, by the headers of the files in their folders.

Used by `layerfusion models scan`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.identify import identify
from layerfusion.engine.models.catalog.identify_unets import relative
from layerfusion.engine.models.catalog.identity import Identity, Use
from layerfusion.engine.models.catalog.model_folders import INDEX, weight_files
from layerfusion.engine.models.catalog.programs import places
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.catalog.walking import walk


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


def scan(folder: Path) -> Iterator[Found]:
    """Inspect every model file in a folder and its sub-folders.

    Args:
        folder: another program's folder, its `models` folder, or any folder with model files.

    Yields:
        safetensors files and folders in diffusers layout. Pickles and settings that cannot be read are included with a
        problem, so that the user sees why they are not used.

    Raises:
        BrokenModel: the folder does not exist.
    """
    if not folder.is_dir():
        raise BrokenModel(f"There is no folder {folder}.", "Give a program's folder, or its models folder.")
    found = places(folder)
    for file, problem in found.unread:
        yield Found(file, None, problem, 0)
    seen: set[Path] = set()
    for path in _files(found.models):
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
    if not (path / INDEX).is_file():
        return Identity(f"a folder without {INDEX}, so no model in diffusers layout", remedy="Give a model's file.")
    try:
        pipeline = str(json.loads((path / INDEX).read_text(encoding="utf-8")).get("_class_name", "?"))
    except (OSError, ValueError, AttributeError):
        pipeline = "?"
    if not pipeline.startswith("StableDiffusionXL"):
        return Identity(f"a folder in diffusers layout for {pipeline}", remedy="Use an SDXL model.")
    try:
        headers = [read_header(file) for file in weight_files(path / "unet", half=False)]
    except BrokenModel as error:
        return Identity("an SDXL folder without a UNet that can be read", remedy=str(error))
    shapes = {name: tensor.shape for header in headers for name, tensor in header.tensors.items()}
    conv_in, label = (shapes.get(f"{name}.weight", ()) for name in ("conv_in", "add_embedding.linear_1"))
    return relative(conv_in, label, "folder") or Identity("SDXL model, a folder in diffusers layout", Use.CHECKPOINT)


_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".gguf")


def _files(places: Iterable[Path]) -> Iterator[Path]:
    """Model files, and folders in diffusers layout, in some folders; files among the places themselves come first."""
    yield from (place for place in places if place.is_file() and place.suffix.lower() in _SUFFIXES)
    for folder, subfolders, names in walk(place for place in places if place.is_dir()):
        if INDEX in names:
            subfolders.clear()
            yield folder
            continue
        yield from (folder / name for name in names if name.lower().endswith(_SUFFIXES))
