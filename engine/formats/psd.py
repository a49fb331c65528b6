"""Photoshop documents.

A document is RGB with 8 bits a channel and one group; each layer's alpha is its transparency channel. The merged image,
which viewers without layer support show, is our own composite over white, because psd-tools' composite is wrong without
an opaque background. An sRGB profile is embedded, so that Photoshop does not ask for one.

Photoshop has no field for a layer's role. Roles are stored in the document's XMP metadata, which Photoshop preserves,
by Photoshop's own layer id. Where another program has removed the metadata or the ids, roles are guessed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from psd_tools import ParseLimits, PSDImage
from psd_tools.api.layers import Group
from psd_tools.api.layers import Layer as PSDLayer
from psd_tools.constants import BlendMode as PSDBlend
from psd_tools.constants import ColorMode, Compression, Resource, Tag
from psd_tools.psd.image_resources import ImageResource

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import (
    MAX_BYTES,
    check_canvas,
    check_file,
    check_layers,
    damaged,
    reading,
    replacing,
)
from layerfusion.engine.image.colour import srgb_profile
from layerfusion.engine.image.compositing import composite, flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Pixels, Role

_BLEND = {
    BlendMode.NORMAL: PSDBlend.NORMAL,
    BlendMode.MULTIPLY: PSDBlend.MULTIPLY,
    BlendMode.ADD: PSDBlend.LINEAR_DODGE,
}
_BLEND_BACK = {theirs: ours for ours, theirs in _BLEND.items()}
_RASTERISED = ("pixel", "type", "shape", "smartobject")
"""Kinds of layers for which the file contains pixels."""


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`. Margins of a layer in which all four channels are 0 are left out."""
    size = (stack.size.width, stack.size.height)
    document = PSDImage.new("RGB", size, color=255, compression=Compression.RLE)
    group = document.create_group(name="group", blend_mode=PSDBlend.NORMAL)
    group.name = roles.writable_name(stack.name)
    for number, layer in enumerate(stack, start=1):
        _add(group, layer, number)
    _set_resource(document, Resource.ICC_PROFILE, srgb_profile())
    _set_resource(document, Resource.XMP_METADATA, _roles_to_xmp(stack))

    white = np.full((stack.size.height, stack.size.width, 4), 255, np.uint8)
    merged = composite(white, flatten(stack))
    record = document._record  # `document.save` would replace our merged image; writing this structure keeps it
    record.image_data.set_data([merged[..., channel].tobytes() for channel in range(3)], record.header)
    with replacing(path) as file:
        record.write(file)


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`.

    Groups are replaced by their layers. This is correct for pass-through groups and for groups with an opaque
    background, such as ours.
    """
    with reading(path, "PSD document"):
        check_file(path)
        with path.open("rb") as file:
            if file.read(4) != b"8BPS":
                raise damaged(path, "PSD document")
            file.seek(0)
            document = PSDImage.open(file, parse_limits=ParseLimits(max_total_bytes=4 * MAX_BYTES))
        check_canvas(path, document.width, document.height)
        if document.color_mode is not ColorMode.RGB or document.depth != 8:
            mode = f"{document.color_mode.name} mode with {document.depth} bits a channel"
            raise UnreadableFile(f"“{path}” is in {mode}.", "Convert it to RGB with 8 bits a channel.")
        found = [layer for layer in document.descendants() if _has_pixels(path, layer)]
        check_layers(path, len(found), sum(layer.width * layer.height for layer in found))
        return _to_stack(document, found, path)


def _add(group: Group, layer: Layer, number: int) -> None:
    pixels, left, top = _crop(layer.pixels)
    added = group.create_pixel_layer_from_array(
        pixels,
        name="layer",
        left=layer.offset[0] + left,
        top=layer.offset[1] + top,
        opacity=round(layer.opacity * 255),
        blend_mode=_BLEND[layer.blend],
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


def _roles_to_xmp(stack: LayeredImage) -> bytes:
    listed = ";".join(f"{number}={layer.role.value}" for number, layer in enumerate(stack, start=1))
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:layerfusion="{roles.NAMESPACE}" layerfusion:roles="{listed}"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _roles_from_xmp(document: PSDImage) -> dict[int, Role]:
    """Layer id -> role.

    XMP allows the property as an attribute or as an element. A regular expression finds both, so that no XML parser is
    exposed to these untrusted bytes.
    """
    data: Any = document.image_resources.get_data(Resource.XMP_METADATA)
    match = re.search(rb'layerfusion:roles(?:="|>)([0-9a-z=;]*)', data) if isinstance(data, bytes) else None
    pairs = re.findall(r"([0-9]{1,9})=([a-z]+)", match[1].decode()) if match else []
    return {int(number): role for number, name in pairs if (role := roles.parse_role(name))}


def _has_pixels(path: Path, layer: PSDLayer) -> bool:
    """Whether to read this layer. Groups and empty layers are skipped.

    Raises:
        UnreadableFile: the layer uses a feature that our layers do not have.
    """
    why = ""
    if layer.is_group():
        plain = layer.blend_mode in (PSDBlend.PASS_THROUGH, PSDBlend.NORMAL) and layer.opacity == 255
        why = "" if plain else "is a group with opacity or a blend mode"
    elif layer.kind not in _RASTERISED:
        why = "has no pixels of its own"
    elif layer.blend_mode not in _BLEND_BACK:
        why = f"has the blend mode {layer.blend_mode.name.replace('_', ' ').lower()}"
    elif layer.clipping:
        why = "is clipped to the layer below"
    elif layer.has_effects():
        why = "has layer effects"
    if not why and (layer.has_vector_mask() or (layer.mask is not None and not layer.mask.disabled)):
        why = "has a mask"
    if why:
        raise UnreadableFile(
            f"“{path}”: “{_name(layer)}” {why}.", "Merge it to plain pixels (normal, multiply or linear dodge)."
        )
    return not layer.is_group() and layer.width > 0 and layer.height > 0


def _to_stack(document: PSDImage, found: list[PSDLayer], path: Path) -> LayeredImage:
    canvas = Size(document.width, document.height)
    stated_roles = _roles_from_xmp(document)
    layers = []
    for index, theirs in enumerate(found):
        layer = Layer(
            name=_name(theirs),
            role=Role.FOREGROUND,
            pixels=_pixels(theirs),
            offset=(theirs.left, theirs.top),
            blend=_BLEND_BACK[theirs.blend_mode],
            opacity=theirs.opacity / 255,
            visible=theirs.is_visible(),
        )
        layers.append(roles.with_role(layer, stated_roles.get(theirs.layer_id), canvas, bottom=index == 0))
    top = list(document)
    name = _name(top[0]) if len(top) == 1 and top[0].is_group() else path.stem
    return LayeredImage(name=name, size=canvas, layers=tuple(layers))


def _name(layer: PSDLayer) -> str:
    return layer.name.rstrip("\0")[:255] or "Layer"  # Krita ends names with a zero byte


def _pixels(layer: PSDLayer) -> Pixels:
    values = layer.numpy()
    assert values is not None  # `_has_pixels` has checked it
    pixels = np.full((*values.shape[:2], 4), 255, np.uint8)
    pixels[..., : values.shape[2]] = np.rint(values * 255)
    return pixels
