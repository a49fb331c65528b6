"""Reading OpenRaster documents, ours and other programs' (https://www.openraster.org). Nothing is unpacked to disk."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import roles
from layerfusion.engine.formats.files import (
    check_canvas,
    check_file,
    check_layers,
    check_memory,
    damaged,
    reading,
)
from layerfusion.engine.formats.groups import Group, Leaf, dissolve
from layerfusion.engine.formats.images import decode
from layerfusion.engine.formats.png_chunks import HEADER_BYTES, SIGNATURE, stated_size
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import DEFAULT_RESOLUTION, BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord, from_words

KIND = "OpenRaster document"
MIMETYPE = b"image/openraster"
ROLE = f"{{{roles.NAMESPACE}}}role"
BLEND = {BlendMode.NORMAL: "svg:src-over", BlendMode.MULTIPLY: "svg:multiply", BlendMode.ADD: "svg:plus"}
_BLEND_BACK = {theirs: ours for ours, theirs in BLEND.items()} | {
    "krita:linear_dodge": BlendMode.ADD,  # Krita has two blend modes with this formula and writes either name
    "krita:add": BlendMode.ADD,
    "svg:add": BlendMode.ADD,
}
_PIGMENT = "mypaint:spectral-wgm"
_PAPER = "{http://mypaint.org/ns/openraster}background-tile"
"""The attribute by which MyPaint marks its endless paper, which is below every document and belongs to none."""

_UNDERSTOOD = frozenset(
    [
        *("name", "src", "x", "y", "opacity", "visibility", "composite-op", "isolation", "alpha-preserve"),
        *("selected", "edit-locked", "locked", "preserve", "colorlabel", "uuid"),
    ]
)
"""Attributes of layers and groups. Those of other XML namespaces are notes of the program that wrote them."""

_MAX_XML = 2**20
_MAX_DEPTH = 32
_MAX_OFFSET = 2**20
_MAX_DIRECTORY = 2**22


def load(path: Path) -> LayeredImage:
    """Read a stack; see `engine.formats.load`."""
    with _opened(path) as reader:
        return reader.read()


def load_layer(path: Path, wanted: str) -> tuple[Layer, Size] | None:
    """Read one layer by its name or role, whatever the layers beside it are. Groups around it may only group.

    Returns:
        The layer and the canvas's size; None if not exactly one layer is meant.

    Raises:
        UnreadableFile: see `load`.
    """
    with _opened(path) as reader:
        return reader.read_layer(wanted)


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    with reading(path, KIND):
        check_file(path)
        _check_directory(path)
        with zipfile.ZipFile(path) as archive:
            if read_member(archive, "mimetype", len(MIMETYPE) + 2).strip() != MIMETYPE:
                raise damaged(path, KIND)
            yield _Reader(path, archive)


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a member of at most `limit` bytes. The length that the archive's directory states is not trusted.

    Raises:
        ValueError: the member is longer.
    """
    with archive.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is longer than {limit} bytes")
    return data


def _check_directory(path: Path) -> None:
    """Refuse an archive whose directory is too large to be read at once, or is stated in the form for huge archives.

    Raises:
        UnreadableFile: it is.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 2**16 - 42))
        end = file.read()
    place = end.rfind(b"PK\5\6")
    if place < 0 or len(end) < place + 22:
        raise damaged(path, KIND)
    (length,) = struct.unpack_from("<I", end, place + 12)
    if length > _MAX_DIRECTORY or end[max(0, place - 20) : place].startswith(b"PK\6\7"):
        raise damaged(path, KIND)


class _Reader:
    """One document.

    Args:
        path: for messages.
        archive: the opened file.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._image = parse_xml(read_member(archive, "stack.xml", _MAX_XML))
        self._canvas = Size(int(self._image.attrib["w"]), int(self._image.attrib["h"]))
        check_canvas(path, self._canvas.width, self._canvas.height)
        children = [child for child in self._image if not child.tag.startswith("{")]
        if [child.tag for child in children] != ["stack"]:
            raise ValueError(f"stack.xml has {len(children)} elements where one stack should be")
        (self._root,) = children
        self._check_root(self._root)
        self._check_depth(self._root, 0)

    def read_layer(self, wanted: str) -> tuple[Layer, Size] | None:
        """See `load_layer`."""
        found = [element for element in _bottom_first(self._root) if element.tag == "layer"]
        stated = [roles.parse_role(element.get(ROLE)) for element in found]
        number = roles.matching(wanted, [(_name(element), role) for element, role in zip(found, stated, strict=True)])
        if number is None:
            return None
        element = found[number]
        for group in self._root.iter("stack"):
            if group is not self._root and element in group.iter("layer"):
                self._check_group(group)
        check_memory(self._path, [math.prod(self._stated_size(element))])
        leaf = self._leaf(element)
        if leaf.keeps_alpha:
            raise _refused(self._path, leaf.layer.name, "keeps the alpha of what is below it (alpha-preserve)")
        layer = replace(leaf.layer, role=stated[number] or Role.FOREGROUND, record=_record(element))
        return layer, self._canvas

    def read(self) -> LayeredImage:
        """
        Raises:
            UnreadableFile: the document uses a feature that is not supported.
        """
        root = self._root
        found = list(_bottom_first(root))
        for element in found:
            if element.tag != "layer":
                raise _refused(self._path, _name(element, element.tag), "is not a layer")
        check_layers(self._path, len(found))
        check_memory(self._path, [math.prod(self._stated_size(element)) for element in found])
        layers = dissolve(
            self._children(root), self._canvas, lambda name, why: _refused(self._path, name, why, of_group=True)
        )
        shown = self._is_visible(root)
        with_roles = [
            replace(
                roles.with_role(layer, roles.parse_role(element.get(ROLE)), self._canvas, bottom=index == 0),
                record=_record(element),
            )
            for index, (layer, element) in enumerate(zip(layers, found, strict=True))
        ]
        stated = _words(self._image)
        return LayeredImage(
            name=str(stated.get("title", "")) or self._title(root),
            size=self._canvas,
            layers=roles.without_companion([layer if shown else layer.hidden() for layer in with_roles]),
            resolution=self._resolution(),
            record=from_words(PictureRecord, stated) if "tool" in stated else None,
        )

    def _title(self, root: ElementTree.Element) -> str:
        children = [child for child in root if _PAPER not in child.attrib]
        if len(children) == 1 and children[0].tag == "stack" and not children[0].get("name"):
            return self._title(children[0])  # Krita puts the root it has into the root of the document
        found = roles.title_of([(_name(child), child.tag == "stack") for child in children])
        return found or self._path.stem

    def _resolution(self) -> tuple[float, float]:
        """Pixels per inch, or OpenRaster's default where none is stated that makes sense."""
        try:
            across, down = float(self._image.attrib["xres"]), float(self._image.attrib["yres"])
        except (KeyError, ValueError):
            return DEFAULT_RESOLUTION
        return (across, down) if min(across, down) >= 1 and max(across, down) < 1e6 else DEFAULT_RESOLUTION

    def _check_root(self, root: ElementTree.Element) -> None:
        if self._opacity(root, "the whole picture") != 1:
            raise _refused(self._path, _name(root, "the whole picture"), "has opacity", of_group=True)
        if root.get("composite-op", "svg:src-over") not in ("svg:src-over", _PIGMENT):
            raise _refused(self._path, _name(root, "the whole picture"), "has a blend mode", of_group=True)
        self._check_attributes(root)

    def _check_depth(self, element: ElementTree.Element, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _refused(self._path, _name(element), f"lies in more than {_MAX_DEPTH} groups", of_group=True)
        for child in element.iterfind("stack"):
            self._check_depth(child, depth + 1)

    def _children(self, parent: ElementTree.Element) -> tuple[Leaf | Group, ...]:
        """The layers and groups in an element, bottom first."""
        return tuple(
            self._group(child) if child.tag == "stack" else self._leaf(child)
            for child in reversed(parent)
            if _PAPER not in child.attrib
        )

    def _check_group(self, element: ElementTree.Element) -> None:
        """
        Raises:
            UnreadableFile: the group does more than to group.
        """
        name, mode = _name(element), element.get("composite-op", "svg:src-over")
        self._check_attributes(element)
        if self._opacity(element) != 1 or mode not in ("svg:src-over", _PIGMENT):
            raise _refused(self._path, name, "is a group with opacity or a blend mode", of_group=True)
        if _is_on(element, "alpha-preserve"):
            raise _refused(self._path, name, "is a group that keeps the alpha below it (alpha-preserve)", of_group=True)
        isolation = element.get("isolation", "auto")
        if isolation not in ("auto", "isolate"):
            raise _refused(self._path, name, f"has the isolation “{isolation:.60}”", of_group=True)

    def _group(self, element: ElementTree.Element) -> Group:
        self._check_group(element)
        mode = element.get("composite-op", "svg:src-over")
        return Group(
            name=_name(element),
            visible=self._is_visible(element),
            isolated=element.get("isolation") == "isolate" or mode == _PIGMENT,
            children=self._children(element),
            only_lowest="has MyPaint's blend mode Pigment" if mode == _PIGMENT else "",
        )

    def _leaf(self, element: ElementTree.Element) -> Leaf:
        """A layer. Its role is a placeholder, which the caller replaces."""
        mode = element.get("composite-op", "svg:src-over")
        if mode not in _BLEND_BACK:
            raise _refused(self._path, _name(element), f"has the blend mode {mode:.60}")
        self._check_attributes(element)
        inside = next((child.tag for child in element if not child.tag.startswith("{")), None)
        if inside is not None:
            raise _refused(self._path, _name(element), f"holds the element {inside:.60}, which is not known here")
        width, height = self._stated_size(element)
        source = element.attrib["src"]
        data = read_member(self._archive, source, 9 * width * height + 2**20)
        layer = Layer(
            name=_name(element),
            role=Role.FOREGROUND,
            pixels=decode(data, f"“{self._path}”: “{_name(element)}”"),
            offset=self._place(element),
            blend=_BLEND_BACK[mode],
            opacity=self._opacity(element),
            visible=self._is_visible(element),
        )
        return Leaf(layer, keeps_alpha=_is_on(element, "alpha-preserve"))

    def _stated_size(self, element: ElementTree.Element) -> tuple[int, int]:
        """Width and height in the header of a layer's PNG.

        Raises:
            UnreadableFile: the layer is no PNG.
        """
        source = element.get("src", "")
        if source not in self._archive.NameToInfo:
            raise _refused(self._path, _name(element), f"has its pixels in “{source:.60}”, which is not in the file")
        with self._archive.open(source) as member:
            start = member.read(HEADER_BYTES)
        if start[:8] != SIGNATURE:
            kind = "SVG" if source.lower().endswith(".svg") or start.lstrip().startswith(b"<") else "another kind"
            raise _refused(self._path, _name(element), f"is no PNG but a layer of {kind}")
        return stated_size(start)

    def _check_attributes(self, element: ElementTree.Element) -> None:
        for name in element.attrib:
            if not name.startswith("{") and name not in _UNDERSTOOD:
                raise _refused(self._path, _name(element), f"has the attribute {name:.60}, which is not known here")
        if element.tag == "stack" and self._place(element) != (0, 0):
            raise _refused(self._path, _name(element), "is a group with an offset", of_group=True)

    def _opacity(self, element: ElementTree.Element, unnamed: str = "Layer") -> float:
        value = _number(element.get("opacity", "1"))
        if value is None or not 0 <= value <= 1:
            stated = element.get("opacity", "")
            raise _refused(self._path, _name(element, unnamed), f"has the opacity “{stated:.60}”")
        return value

    def _place(self, element: ElementTree.Element) -> tuple[int, int]:
        """Where the upper left corner is, in pixels; some programs write whole numbers with decimals."""
        stated = element.get("x", "0"), element.get("y", "0")
        x, y = (_number(value) for value in stated)
        if x is None or y is None or x % 1 or y % 1 or max(abs(x), abs(y)) > _MAX_OFFSET:
            where = ",".join(value[:30] for value in stated)
            raise _refused(self._path, _name(element), f"lies at {where}, between pixels or far away")
        return int(x), int(y)

    def _is_visible(self, element: ElementTree.Element) -> bool:
        stated = element.get("visibility", "visible")
        if stated not in ("visible", "hidden"):
            raise _refused(self._path, _name(element), f"has the visibility “{stated:.60}”")
        return stated == "visible"


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse XML bytes, refusing a document type: entities declared there can expand without limit.

    Raises:
        ValueError: the bytes are no UTF-8, contain a document type, or are no well-formed XML.
    """
    text = data.decode("utf-8-sig")
    if "<!DOCTYPE" in text:
        raise ValueError("stack.xml has a document type")
    return ElementTree.fromstring(text)  # noqa: S314


def _record(element: ElementTree.Element) -> LayerRecord | None:
    words = _words(element)
    return from_words(LayerRecord, words) if "source" in words else None


def _words(element: ElementTree.Element) -> dict[str, Any]:
    """Our attributes of an element, without their prefix; those that hold lists are JSON."""
    prefix = f"{{{roles.NAMESPACE}}}"
    words: dict[str, Any] = {n.removeprefix(prefix): v for n, v in element.attrib.items() if n.startswith(prefix)}
    for name in ("loras", "settings"):
        if name in words:
            try:
                words[name] = json.loads(words[name])
            except (ValueError, RecursionError):
                del words[name]
    return words


def _bottom_first(parent: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The layer elements in an element and its groups, bottom first."""
    children: Iterable[ElementTree.Element] = reversed(parent)
    for child in children:
        if child.tag == "stack":
            yield from _bottom_first(child)
        elif _PAPER not in child.attrib:
            yield child


def _number(text: str) -> float | None:
    """A finite number; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_on(element: ElementTree.Element, attribute: str) -> bool:
    return element.get(attribute, "false").lower() not in ("false", "0")


def _name(element: ElementTree.Element, unnamed: str = "Layer") -> str:
    return element.get("name", "")[:255] or unnamed


def _refused(path: Path, name: str, why: str, *, of_group: bool = False) -> UnreadableFile:
    remedy = "Merge it to plain pixels" if not of_group else "Make it a plain group, or merge it to plain pixels"
    return UnreadableFile(f"“{path}”: “{name}” {why}.", f"{remedy} (normal, multiply or addition).")
