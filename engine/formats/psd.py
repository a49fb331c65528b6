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
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import Compression, Resource, Tag
from psd_tools.psd.image_resources import ImageResource

from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.formats.psd_features import BLEND
from layerfusion.engine.formats.psd_metadata import to_xmp
from layerfusion.engine.formats.psd_reader import load
from layerfusion.engine.image.colour import srgb_profile
from layerfusion.engine.image.compositing import composite, flatten
from layerfusion.engine.image.layers import Layer, LayeredImage, Pixels

__all__ = ["load", "save"]


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`. Margins of a layer in which all four channels are 0 are left out."""
    size = (stack.size.width, stack.size.height)
    document = PSDImage.new("RGB", size, color=255, compression=Compression.RLE)
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

    white = np.full((stack.size.height, stack.size.width, 4), 255, np.uint8)
    merged = composite(white, flatten(stack))
    record = document._record  # `document.save` would replace our merged image; writing this structure keeps it
    record.image_data.set_data([merged[..., channel].tobytes() for channel in range(3)], record.header)
    with replacing(path) as file:
        record.write(file)


def _resolution(resolution: tuple[float, float]) -> bytes:
    """ResolutionInfo (resource 1005): pixels per inch as 16.16 numbers, to be shown per inch, and sizes in inches."""
    across, down = (round(value * 65536) for value in resolution)
    return struct.pack(">IHHIHH", across, 1, 1, down, 1, 1)


def _add(parent: PSDImage | Group, layer: Layer, number: int) -> None:
    pixels, left, top = _crop(layer.pixels)
    added = parent.create_pixel_layer_from_array(
        pixels,
        name="layer",
        left=layer.offset[0] + left,
        top=layer.offset[1] + top,
        opacity=round(layer.opacity * 255),
        blend_mode=BLEND[layer.blend],
        compression=Compression.RLE,
    )
    added.name = roles.writable_name(layer.name)  # only this setter stores the name as Unicode
    added.visible = layer.visible
    added.tagged_blocks.set_data(Tag.LAYER_ID, number)


def _crop(pixels: Pixels) -> tuple[Pixels, int, int]:
    """Cut off the margins in which all four channels are 0; at least one pixel is left.

    Returns:
        The cropped pixels, and how many pixels were cut off at the left and at the top.
    """
    used = np.any(pixels, axis=2)
    rows, columns = np.flatnonzero(np.any(used, axis=1)), np.flatnonzero(np.any(used, axis=0))
    if rows.size == 0:
        return pixels[:1, :1], 0, 0
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], int(columns[0]), int(rows[0])


def _set_resource(document: PSDImage, key: Resource, data: bytes) -> None:
    document.image_resources[key] = ImageResource(key=key, data=data)
