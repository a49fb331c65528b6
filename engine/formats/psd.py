"""Photoshop documents.

A document is RGB with 8 bits a channel; each layer's alpha is its transparency channel. Blended lies beside a group of
all other layers, see `roles.grouped`. The merged image,
which viewers without layer support show, is our own composite over white, because psd-tools' composite is wrong without
an opaque background. An sRGB profile is embedded, so that Photoshop does not ask for one.

Photoshop has no field for a layer's role. Roles are stored in the document's XMP metadata, which Photoshop preserves,
by Photoshop's own layer id. Where another program has removed the metadata or the ids, roles are guessed.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psd_tools import PSDImage
from psd_tools.api.layers import Group, PixelLayer
from psd_tools.compression import rle_impl  # type: ignore[attr-defined]  # its name in psd-tools depends on the platform
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import ChannelID, Compression, Resource, Tag
from psd_tools.psd.image_resources import ImageResource
from psd_tools.psd.layer_and_mask import ChannelData, ChannelDataList, ChannelInfo, LayerRecord

from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.formats.psd_features import BLEND
from layerfusion.engine.formats.psd_reader import load, load_layer
from layerfusion.engine.formats.xmp import to_xmp
from layerfusion.engine.image.colour import srgb_profile
from layerfusion.engine.image.compositing import composite, flatten
from layerfusion.engine.image.layers import Layer, LayeredImage, Pixels

__all__ = ["load", "load_layer", "save"]


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`. Margins of a layer in which all four channels are 0 are left out."""
    document = PSDImage.new(
        "RGB", (1, 1), compression=Compression.RLE
    )  # a picture of the canvas's size would be packed
    header = document._record.header
    header.width, header.height = stack.size.width, stack.size.height
    grouped = roles.grouped(stack)
    group = None
    for number, layer in enumerate(stack, start=1):
        if number - 1 == grouped.start and grouped:
            group = document.create_group(name="group", blend_mode=PSDBlend.NORMAL)
            group.name = roles.writable_name(stack.name)
        _add(group if group is not None and number - 1 in grouped else document, layer, number)
    if len(stack) == 1:
        _add(document, roles.companion(), 2)
    _set_resource(document, Resource.ICC_PROFILE, srgb_profile())
    _set_resource(document, Resource.RESOLUTION_INFO, _resolution(stack.resolution))
    _set_resource(document, Resource.XMP_METADATA, to_xmp(stack))

    merged = flatten(stack)
    if merged[..., 3].min() < 255:
        merged = composite(np.full_like(merged, 255), merged)
    record = document._record  # `document.save` would replace our merged image; writing this structure keeps it
    counts, rows = zip(*(_packed(merged[..., channel]) for channel in range(3)), strict=True)
    record.image_data.data = b"".join((*counts, *rows))
    with replacing(path) as file:
        record.write(file)


def _resolution(resolution: tuple[float, float]) -> bytes:
    """ResolutionInfo (resource 1005): pixels per inch as 16.16 numbers, to be shown per inch, and sizes in inches."""
    across, down = (round(value * 65536) for value in resolution)
    return struct.pack(">IHHIHH", across, 1, 1, down, 1, 1)


def _add(parent: PSDImage | Group, layer: Layer, number: int) -> None:
    """Add a layer. psd-tools' own `create_pixel_layer_from_array` takes five times as long: it goes through floats."""
    pixels, left, top = _crop(layer.pixels)
    left, top = left + layer.offset[0], top + layer.offset[1]
    record = LayerRecord(
        top=top,
        left=left,
        bottom=top + pixels.shape[0],
        right=left + pixels.shape[1],
        opacity=round(layer.opacity * 255),
        blend_mode=BLEND[layer.blend],
        channel_info=[],
    )
    channels = ChannelDataList()
    for channel in (3, 0, 1, 2):
        data = b"".join(_packed(pixels[..., channel]))
        named = ChannelID.TRANSPARENCY_MASK if channel == 3 else ChannelID(channel)
        record.channel_info.append(ChannelInfo(named, len(data) + 2))
        channels.append(ChannelData(Compression.RLE, data))
    added = PixelLayer(parent, record, channels)
    parent.append(added)
    added.name = roles.writable_name(layer.name)  # only this setter stores the name as Unicode
    added.visible = layer.visible
    added.tagged_blocks.set_data(Tag.LAYER_ID, number)


def _packed(plane: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """One channel (H, W) in PackBits: the packed length of each row as 16-bit numbers, and the packed rows.

    Rows of a single value, such as those of an opaque layer's alpha, are packed once.
    """
    plane = np.ascontiguousarray(plane)
    single = (plane == plane[:, :1]).all(axis=1)
    known = {value: rle_impl.encode(bytes([value]) * plane.shape[1]) for value in np.unique(plane[single, 0]).tolist()}
    values = plane[:, 0].tolist()
    rows = [known[values[y]] if one else rle_impl.encode(plane[y].tobytes()) for y, one in enumerate(single.tolist())]
    return np.array([len(row) for row in rows], ">u2").tobytes(), b"".join(rows)


def _crop(pixels: Pixels) -> tuple[Pixels, int, int]:
    """Cut off the margins in which all four channels are 0; at least one pixel is left.

    Returns:
        The cropped pixels, and how many pixels were cut off at the left and at the top.
    """
    used = pixels.view(np.uint32)[..., 0]  # a pixel a word
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if rows.size == 0:
        return pixels[:1, :1], 0, 0
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], int(columns[0]), int(rows[0])


def _set_resource(document: PSDImage, key: Resource, data: bytes) -> None:
    document.image_resources[key] = ImageResource(key=key, data=data)
