"""OpenRaster documents (https://www.openraster.org), which Krita, GIMP and MyPaint read and write.

A document is a ZIP archive of `mimetype` (first, uncompressed), `stack.xml` with one group, one PNG per layer, the
merged image and a thumbnail. A layer's role is an attribute in our own XML namespace, which other programs ignore.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import check_canvas, check_file, check_layers, damaged, reading, replacing
from layerfusion.engine.formats.images import decode, encode
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Pixels, Role
from layerfusion.engine.image.resampling import resize

_BLEND = {BlendMode.NORMAL: "svg:src-over", BlendMode.MULTIPLY: "svg:multiply", BlendMode.ADD: "svg:plus"}
_BLEND_BACK = {theirs: ours for ours, theirs in _BLEND.items()} | {
    "krita:linear_dodge": BlendMode.ADD,  # Krita has two blend modes with this formula and writes either name
    "krita:add": BlendMode.ADD,
    "svg:add": BlendMode.ADD,
}
_ROLE = f"{{{roles.NAMESPACE}}}role"
_MIMETYPE = b"image/openraster"
_MAX_XML = 2**20
_MAX_MEMBER = 2**29
_MAX_DEPTH = 32
_MAX_OFFSET = 2**20
_THUMBNAIL = 256


def save(stack: LayeredImage, path: Path) -> None:
    """Write a stack; see `engine.formats.save`."""
    merged = flatten(stack)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        _write(archive, "mimetype", _MIMETYPE)
        _write(archive, "stack.xml", _to_xml(stack))
        for index, layer in enumerate(stack):
            _write(archive, _member(index), encode(layer.pixels))
        _write(archive, "mergedimage.png", encode(merged))
        _write(archive, "Thumbnails/thumbnail.png", encode(_thumbnail(merged)))


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`. Groups are flattened to their layers. Nothing is unpacked to disk."""
    with reading(path, "OpenRaster document"):
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            if _read(archive, "mimetype", len(_MIMETYPE) + 2).strip() != _MIMETYPE:
                raise damaged(path, "OpenRaster document")
            image = _parse(_read(archive, "stack.xml", _MAX_XML))
            canvas = Size(int(image.attrib["w"]), int(image.attrib["h"]))
            check_canvas(path, canvas.width, canvas.height)
            top = list(image.iterfind("stack/*"))
            found = [leaf for element in reversed(top) for leaf in _leaves(path, element)]
            check_layers(path, len(found), 0)
            layers: list[Layer] = []
            for element, shown in found:
                layer = _to_layer(archive, element, shown, path)
                role = roles.parse_role(element.get(_ROLE))
                layers.append(roles.with_role(layer, role, canvas, bottom=not layers))
                check_layers(path, len(found), sum(layer.size.area for layer in layers))
            name = _name(top[0]) if len(top) == 1 and top[0].tag == "stack" else path.stem
            return LayeredImage(name=name, size=canvas, layers=tuple(layers))


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member, uncompressed because PNGs are compressed already, and dated 1980 so that files are reproducible."""
    archive.writestr(zipfile.ZipInfo(name), data)


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a member of at most `limit` bytes. The length that the archive's directory states is not trusted.

    Raises:
        ValueError: the member is longer.
    """
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is longer than {limit} bytes")
    return data


def _member(index: int) -> str:
    return f"data/layer{index}.png"


def _thumbnail(merged: Pixels) -> Pixels:
    height, width = merged.shape[:2]
    scale = min(1.0, _THUMBNAIL / max(height, width))
    return resize(merged, Size(max(1, round(width * scale)), max(1, round(height * scale))))


def _to_xml(stack: LayeredImage) -> bytes:
    size = {"w": str(stack.size.width), "h": str(stack.size.height)}
    image = ElementTree.Element("image", {"version": "0.0.3", **size, "xmlns:layerfusion": roles.NAMESPACE})
    root = ElementTree.SubElement(image, "stack")
    group = ElementTree.SubElement(root, "stack", name=roles.writable_name(stack.name), isolation="isolate")
    for index, layer in reversed(list(enumerate(stack))):  # OpenRaster lists the topmost layer first
        attributes = {
            "name": roles.writable_name(layer.name),
            "src": _member(index),
            "x": str(layer.offset[0]),
            "y": str(layer.offset[1]),
            "opacity": f"{layer.opacity:.6g}",
            "visibility": "visible" if layer.visible else "hidden",
            "composite-op": _BLEND[layer.blend],
            "layerfusion:role": layer.role.value,
        }
        ElementTree.SubElement(group, "layer", attributes)
    return ElementTree.tostring(image, encoding="UTF-8", xml_declaration=True)


def _parse(data: bytes) -> ElementTree.Element:
    """Parse XML bytes, refusing a document type: entities declared there can expand without limit.

    Raises:
        ValueError: the bytes are no UTF-8, contain a document type, or are no well-formed XML.
    """
    text = data.decode("utf-8-sig")
    if "<!DOCTYPE" in text:
        raise ValueError("stack.xml has a document type")
    return ElementTree.fromstring(text)  # noqa: S314


def _leaves(
    path: Path, element: ElementTree.Element, shown: bool = True, depth: int = 0
) -> Iterator[tuple[ElementTree.Element, bool]]:
    """The layer elements in an element, bottom first, each with whether it and all groups around it are visible.

    Raises:
        UnreadableFile: a group has opacity or a blend mode, or the element is neither layer nor group.
    """
    shown = shown and element.get("visibility") != "hidden"
    if element.tag == "layer":
        yield element, shown
    elif element.tag == "stack" and depth < _MAX_DEPTH:
        if element.get("composite-op", "svg:src-over") != "svg:src-over" or float(element.get("opacity", 1)) < 1:
            raise _unsupported(path, element, "is a group with opacity or a blend mode")
        for child in reversed(element):
            yield from _leaves(path, child, shown, depth + 1)
    else:
        raise _unsupported(path, element, "is not a layer")


def _to_layer(archive: zipfile.ZipFile, element: ElementTree.Element, shown: bool, path: Path) -> Layer:
    """Read one layer. Its role is a placeholder, which the caller replaces."""
    mode = element.get("composite-op", "svg:src-over")
    if mode not in _BLEND_BACK:
        raise _unsupported(path, element, f"has the blend mode {mode}")
    source = element.attrib["src"]
    return Layer(
        name=_name(element),
        role=Role.FOREGROUND,
        pixels=decode(_read(archive, source, _MAX_MEMBER), f"“{path}”: “{source}”"),
        offset=(_coordinate(element, "x"), _coordinate(element, "y")),
        blend=_BLEND_BACK[mode],
        opacity=float(element.get("opacity", 1)),
        visible=shown,
    )


def _coordinate(element: ElementTree.Element, axis: str) -> int:
    value = int(element.get(axis, 0))
    if abs(value) > _MAX_OFFSET:
        raise ValueError(f"{axis} is {value}")
    return value


def _name(element: ElementTree.Element) -> str:
    return element.get("name", "")[:255] or "Layer"


def _unsupported(path: Path, element: ElementTree.Element, why: str) -> UnreadableFile:
    return UnreadableFile(
        f"“{path}”: “{_name(element)}” {why}.", "Merge it to plain pixels (normal, multiply or addition)."
    )
