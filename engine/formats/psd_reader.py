"""Reading Photoshop documents, ours and other programs': RGB or grey, 8 or 16 bits a channel, PSD or PSB."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psd_tools import ParseLimits, PSDImage
from psd_tools.api.layers import Group as PSDGroup
from psd_tools.api.layers import Layer as PSDLayer
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import ChannelID, ColorMode, Compression, Resource
from psd_tools.psd.layer_and_mask import ChannelData

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import (
    MAX_BYTES,
    check_canvas,
    check_file,
    check_layers,
    check_memory,
    damaged,
    reading,
)
from layerfusion.engine.formats.groups import Group, Leaf, dissolve
from layerfusion.engine.formats.psd_features import BLEND_BACK, fill_opacity, obstacle
from layerfusion.engine.formats.xmp import read_roles, read_xmp
from layerfusion.engine.image.colour import pixels_to_srgb
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Pixels, Role

KIND = "PSD document"
_COLOURS = {
    ColorMode.RGB: (ChannelID.CHANNEL_0, ChannelID.CHANNEL_1, ChannelID.CHANNEL_2),
    ColorMode.GRAYSCALE: (ChannelID.CHANNEL_0,) * 3,
}
_SPOT = 2


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`."""
    with reading(path, KIND):
        check_file(path)
        document = _open(path)
        check_canvas(path, document.width, document.height)
        _check_document(document, path)
        for layer in document.descendants():
            if why := obstacle(layer):
                raise _refused(path, _name(layer), why)
        found = [layer for layer in document.descendants() if _has_pixels(layer)]
        check_layers(path, len(found))
        check_memory(path, [layer.width * layer.height for layer in found])
        return _to_stack(document, path)


def _open(path: Path) -> PSDImage:
    with path.open("rb") as file:
        if file.read(4) != b"8BPS":
            raise damaged(path, KIND)
        file.seek(0)
        with _quiet():
            document = PSDImage.open(file, parse_limits=ParseLimits(max_total_bytes=4 * MAX_BYTES))
    document._record.image_data.data = b""  # the merged picture is not looked at
    return document


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep psd-tools' warnings about damaged blocks off the console of programs that do not log."""
    logger, handler = logging.getLogger("psd_tools"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _check_document(document: PSDImage, path: Path) -> None:
    """
    Raises:
        UnreadableFile: its colours are of a kind that is not read.
    """
    if document.color_mode not in _COLOURS or document.depth not in (8, 16):
        mode = f"{document.color_mode.name} mode with {document.depth} bits a channel"
        raise UnreadableFile(f"“{path}” is in {mode}.", "Convert it to RGB with 8 or 16 bits a channel.")
    if _has_spot_channels(document):
        raise UnreadableFile(f"“{path}” has spot colour channels.", "Merge them into the picture.")


def _has_spot_channels(document: PSDImage) -> bool:
    data: Any = document.image_resources.get_data(Resource.DISPLAY_INFO)
    entries = data[4:] if isinstance(data, bytes) else b""
    return any(entry[-1] == _SPOT for entry in struct.iter_unpack(">6HB", entries[: len(entries) // 13 * 13]))


def _has_pixels(layer: PSDLayer) -> bool:
    return not layer.is_group() and layer.width > 0 and layer.height > 0


def _to_stack(document: PSDImage, path: Path) -> LayeredImage:
    canvas = Size(document.width, document.height)
    profile: Any = document.image_resources.get_data(Resource.ICC_PROFILE)
    packet: Any = document.image_resources.get_data(Resource.XMP_METADATA)
    stated, (record, title, records) = read_roles(packet), read_xmp(packet)
    ids = [layer.layer_id for layer in document.descendants() if _has_pixels(layer)]

    def tree(parent: PSDImage | PSDGroup) -> tuple[Leaf | Group, ...]:
        return tuple(
            Group(_name(child), child.visible, child.blend_mode is PSDBlend.NORMAL, tree(child))
            if isinstance(child, PSDGroup)
            else _leaf(document, child, profile)
            for child in parent
            if isinstance(child, PSDGroup) or _has_pixels(child)
        )

    found = dissolve(tree(document), canvas, lambda name, why: _refused(path, name, why))
    with_roles = [
        replace(roles.with_role(layer, stated.get(number), canvas, bottom=index == 0), record=records.get(number))
        for index, (layer, number) in enumerate(zip(found, ids, strict=True))
    ]
    name = title or roles.title_of([(_name(child), child.is_group()) for child in document]) or path.stem
    return LayeredImage(
        name=name,
        size=canvas,
        layers=roles.without_companion(with_roles),
        resolution=_resolution(document),
        record=record,
    )


def _leaf(document: PSDImage, layer: PSDLayer, profile: bytes | None) -> Leaf:
    """A layer. Its role is a placeholder, which the caller replaces."""
    blend, fill = BLEND_BACK[layer.blend_mode], fill_opacity(layer)
    scales_colour = blend is BlendMode.ADD and fill < 1
    ours = Layer(
        name=_name(layer),
        role=Role.FOREGROUND,
        pixels=_pixels(document, layer, profile),
        offset=(layer.left, layer.top),
        blend=blend,
        opacity=layer.opacity / 255 * (1 if scales_colour else fill),
        visible=layer.visible,
    )
    return Leaf(ours, colour_scale=fill if scales_colour else 1.0)


def _pixels(document: PSDImage, layer: PSDLayer, profile: bytes | None) -> Pixels:
    """Decode a layer's channels, and forget their compressed bytes."""
    width, height, depth = layer.width, layer.height, document.depth
    dtype = np.dtype(np.uint8 if depth == 8 else ">u2")
    planes: dict[int, NDArray[Any]] = {}
    for info, channel in zip(layer._record.channel_info, layer._channels, strict=True):
        if info.id >= ChannelID.TRANSPARENCY_MASK:
            _check_rows(channel, height, document.version)
            data = channel.get_data(
                width, height, depth, document.version, max_output_bytes=width * height * dtype.itemsize
            )
            planes[info.id] = np.frombuffer(data, dtype, width * height).reshape(height, width)
        channel.data = b""
    native = dtype.newbyteorder("=")
    values: Any = np.full((height, width, 4), np.iinfo(native).max, native)
    for index, number in enumerate(_COLOURS[document.color_mode]):
        values[..., index] = planes[number]
    if ChannelID.TRANSPARENCY_MASK in planes:
        values[..., 3] = planes[ChannelID.TRANSPARENCY_MASK]
    return pixels_to_srgb(values, profile)


def _check_rows(channel: ChannelData, height: int, version: int) -> None:
    """Check that the lengths of the run-length encoded rows add up: psd-tools reads past a wrong one without a word.

    Raises:
        ValueError: they do not.
    """
    if channel.compression is Compression.RLE:
        table = np.frombuffer(channel.data, ">u2" if version == 1 else ">u4", height)
        if int(table.sum()) + table.nbytes != len(channel.data):
            raise ValueError("the rows of a channel have other lengths than stated")


def _resolution(document: PSDImage) -> tuple[float, float]:
    """Pixels per inch; (72, 72), Photoshop's default, where the document states none that makes sense."""
    data: Any = document.image_resources.get_data(Resource.RESOLUTION_INFO)
    stated = (data.horizontal / 65536, data.vertical / 65536) if hasattr(data, "horizontal") else (0.0, 0.0)
    return stated if min(stated) >= 1 else (72.0, 72.0)


def _name(layer: PSDLayer) -> str:
    return layer.name.rstrip("\0")[:255] or "Layer"  # Krita ends names with a zero byte


def _refused(path: Path, name: str, why: str) -> UnreadableFile:
    return UnreadableFile(f"“{path}”: “{name}” {why}.", "Merge it to plain pixels (normal, multiply or linear dodge).")
