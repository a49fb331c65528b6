"""OpenRaster documents (https://www.openraster.org), which Krita, GIMP and MyPaint read and write.

A document is a ZIP archive of `mimetype` (first, uncompressed), `stack.xml` with one group, one PNG per layer, the
merged image and a thumbnail. A layer's role is an attribute in our own XML namespace, which other programs ignore.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import replacing
from layerfusion.engine.formats.images import encode
from layerfusion.engine.formats.merged import encode_merged
from layerfusion.engine.formats.ora_reader import BLEND, MIMETYPE, load, load_layer
from layerfusion.engine.formats.xmp import PREFIXES, standard_fields
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage, Pixels
from layerfusion.engine.image.record import Words, to_words
from layerfusion.engine.image.resampling import resize

__all__ = ["load", "load_layer", "save"]

_MYPAINT = "http://mypaint.org/ns/openraster"
_STACK = {"opacity": "1.0", "visibility": "visible", "composite-op": "svg:src-over", "isolation": "auto"}
"""Attributes of every group. Without a mode, MyPaint mixes a group's colours like paint; and without the exponent 1
of `mypaint:eotf`, it composites in linear light."""

_THUMBNAIL = 256


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`."""
    merged = flatten(stack)
    if len(stack) == 1:
        stack = stack.with_layer(roles.companion())
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        _write(archive, "mimetype", MIMETYPE)
        _write(archive, "stack.xml", _to_xml(stack))
        for index, layer in enumerate(stack):
            _write(archive, _member(index), encode(layer.pixels))
        _write(archive, "mergedimage.png", encode_merged(stack, merged))
        _write(archive, "Thumbnails/thumbnail.png", encode(_thumbnail(merged)))


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member, uncompressed because PNGs are compressed already, and dated 1980 so that files are reproducible."""
    archive.writestr(zipfile.ZipInfo(name), data)


def _member(index: int) -> str:
    return f"data/layer{index}.png"


def _thumbnail(merged: Pixels) -> Pixels:
    height, width = merged.shape[:2]
    scale = min(1.0, _THUMBNAIL / max(height, width))
    return resize(merged, Size(max(1, round(width * scale)), max(1, round(height * scale))))


def _to_xml(stack: LayeredImage) -> bytes:
    size = {"w": str(stack.size.width), "h": str(stack.size.height)}
    across, down = stack.resolution
    dense = {"xres": f"{across:g}", "yres": f"{down:g}"}
    names = {"xmlns:layerfusion": roles.NAMESPACE, "xmlns:mypaint": _MYPAINT, "mypaint:eotf": "1.0"}
    image = ElementTree.Element("image", {"version": "0.0.6", **size, **dense, **names})
    if stack.record is not None:
        _describe(image, {"title": stack.name, **to_words(stack.record)})
        for (prefix, name), value in standard_fields(stack.layers, stack.record).items():
            image.set(f"xmlns:{prefix}", PREFIXES[prefix])
            image.set(f"{prefix}:{name}", roles.writable_name(value))
    root = ElementTree.SubElement(image, "stack", _STACK)
    grouped, group = roles.grouped(stack), root
    for index, layer in reversed(list(enumerate(stack))):  # OpenRaster lists the topmost layer first
        if grouped and index == grouped.stop - 1:
            group = ElementTree.SubElement(root, "stack", {"name": roles.writable_name(stack.name), **_STACK})
        attributes = {
            "name": roles.writable_name(layer.name),
            "src": _member(index),
            "x": str(layer.offset[0]),
            "y": str(layer.offset[1]),
            "opacity": f"{layer.opacity:.6g}",
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": BLEND[layer.blend],
            "layerfusion:role": layer.role.value,
        }
        element = ElementTree.SubElement(group if index in grouped else root, "layer", attributes)
        if layer.record is not None:
            _describe(element, to_words(layer.record))
    return ElementTree.tostring(image, encoding="UTF-8", xml_declaration=True)


def _describe(element: ElementTree.Element, words: Words) -> None:
    """Add what is known of a picture or a layer as attributes; lists, which only a picture has, are written as JSON."""
    for name, value in words.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        element.set(f"layerfusion:{name}", roles.writable_name(text))
