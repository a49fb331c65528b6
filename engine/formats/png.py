"""A folder with one PNG per layer and a manifest, `stack.json`, with their order, offsets, blend modes and roles.

    apple/
        01-background.png
        02-foreground.png
        ...
        stack.json

File names consist of the layer's number and role, so that layer names may contain any character. Saving deletes nothing
in an existing folder. It overwrites files with such names only if the folder has a manifest of ours; otherwise they
belong to somebody else, and saving is refused.
"""

from __future__ import annotations

import json
import math
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import UnreadableFile, UnwritableFile
from layerfusion.engine.formats import files
from layerfusion.engine.formats.files import (
    check_canvas,
    check_file,
    check_layers,
    check_memory,
    damaged,
    reading,
    replacing,
    writing,
)
from layerfusion.engine.formats.images import decode, encode
from layerfusion.engine.formats.png_chunks import HEADER_BYTES, stated_size
from layerfusion.engine.formats.xmp import to_xmp
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import DEFAULT_RESOLUTION, BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord, from_words, to_words

MANIFEST = "stack.json"
_FORMAT = "layerfusion-stack"
_VERSION = 1
_MAX_MANIFEST = 2**20
_MAX_OFFSET = 2**20
_LAYER_FILE = re.compile(rf"\d+-({'|'.join(role.value for role in Role)})\.png")


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`. All files are complete before the first gets its final name."""
    new = not path.exists()
    names = [f"{number:02}-{layer.role.value}.png" for number, layer in enumerate(stack, start=1)]
    with writing(path):
        path.mkdir(exist_ok=True)
    try:
        _check_ours(path)
        with ExitStack() as staged:  # contexts end in reverse order, so the manifest, entered first, is renamed last
            staged.enter_context(replacing(path / MANIFEST)).write(_to_json(stack, names))
            for name, layer in zip(names, stack, strict=True):
                staged.enter_context(replacing(path / name)).write(_encode(stack, layer))
    except BaseException:
        if new:
            with suppress(OSError):
                path.rmdir()
        raise


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`. Only files directly in the folder are opened."""
    if not path.is_dir():
        why = "is not a folder" if path.exists() else "does not exist"
        raise UnreadableFile(f"“{path}” {why}.", "Give a folder of layers, or a file ending in .psd or .ora.")
    manifest = path / MANIFEST
    with reading(manifest, "layer manifest"):
        check_file(manifest)
        if manifest.stat().st_size > _MAX_MANIFEST:
            raise damaged(manifest, "layer manifest")
        values: Any = json.loads(manifest.read_bytes())
        if values["format"] != _FORMAT or values["version"] != _VERSION:
            raise UnreadableFile(f"“{manifest}” has another format or version.", "Update layerfusion.")
        size = Size(values["width"], values["height"])
        check_canvas(manifest, size.width, size.height)
        check_layers(manifest, len(values["layers"]))
        check_memory(manifest, [_stated_area(path, entry) for entry in values["layers"]])
        return LayeredImage(
            name=str(values["name"])[:255],
            size=size,
            layers=tuple(_to_layer(path, entry) for entry in values["layers"]),
            resolution=values.get("resolution", DEFAULT_RESOLUTION),
            record=from_words(PictureRecord, values["record"]) if isinstance(values.get("record"), dict) else None,
        )


def check_writable(path: Path) -> None:
    """Check that `save` can create this folder or write into it. It leaves no file behind.

    Raises:
        UnwritableFile: it cannot.
    """
    if path.exists() and not path.is_dir():
        raise UnwritableFile(f"“{path}” is a file.", "Choose another name for the folder.")
    if path.is_dir():
        _check_ours(path)
        files.check_writable(path / MANIFEST)
    else:
        files.check_writable(path)


def _check_ours(folder: Path) -> None:
    """Refuse a folder that has files with our names but no manifest of ours.

    Raises:
        UnwritableFile: it has such files.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads((folder / MANIFEST).read_bytes())["format"] == _FORMAT:
            return
    with writing(folder):
        taken = [file for file in folder.iterdir() if file.name == MANIFEST or _LAYER_FILE.fullmatch(file.name)]
    if taken:
        raise UnwritableFile(
            f"“{min(taken)}” would be overwritten, but layerfusion did not write it.", "Choose another folder."
        )


def _encode(stack: LayeredImage, layer: Layer) -> bytes:
    xmp = b"" if stack.record is None else to_xmp(stack, [layer])
    return encode(layer.pixels, stack.resolution, xmp)


def _to_json(stack: LayeredImage, names: list[str]) -> bytes:
    entries = [
        {
            "file": name,
            "name": layer.name,
            "role": layer.role.value,
            "offset": list(layer.offset),
            "blend": layer.blend.value,
            "opacity": layer.opacity,
            "visible": layer.visible,
            **({} if layer.record is None else {"record": to_words(layer.record)}),
        }
        for name, layer in zip(names, stack, strict=True)
    ]
    head = {"format": _FORMAT, "version": _VERSION, "name": stack.name}
    size = {"width": stack.size.width, "height": stack.size.height, "resolution": list(stack.resolution)}
    record = {} if stack.record is None else {"record": to_words(stack.record)}
    values = {**head, **size, **record, "layers": entries}
    return (json.dumps(values, indent=2) + "\n").encode()


def _file(folder: Path, entry: dict[str, Any]) -> Path:
    """The file of a layer.

    Raises:
        UnreadableFile: it lies elsewhere, or is no file.
        OSError: it is not there.
    """
    name = entry["file"]
    if not isinstance(name, str) or Path(name).name != name or "\\" in name or ":" in name:
        raise UnreadableFile(f"“{folder / MANIFEST}” names the file {name!r}.", "Layers must lie beside the manifest.")
    file = folder / name
    with reading(file, "PNG image"):
        check_file(file)
    return file


def _stated_area(folder: Path, entry: dict[str, Any]) -> int:
    """Width times height in the header of a layer's PNG."""
    file = _file(folder, entry)
    with reading(file, "PNG image"), file.open("rb") as opened:
        return math.prod(stated_size(opened.read(HEADER_BYTES)))


def _to_layer(folder: Path, entry: dict[str, Any]) -> Layer:
    x, y = entry["offset"]
    if not all(isinstance(value, int) and abs(value) <= _MAX_OFFSET for value in (x, y)):
        raise ValueError(f"offset {x}, {y}")
    file = _file(folder, entry)
    with reading(file, "PNG image"):
        pixels = decode(file.read_bytes(), f"“{file}”")
    return Layer(
        name=entry["name"],
        role=Role(entry["role"]),
        pixels=pixels,
        offset=(x, y),
        blend=BlendMode(entry["blend"]),
        opacity=float(entry["opacity"]),
        visible=bool(entry["visible"]),
        record=from_words(LayerRecord, entry["record"]) if isinstance(entry.get("record"), dict) else None,
    )
