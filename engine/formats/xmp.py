"""XMP packets (ISO 16684-1): what our pictures say of themselves in fields that other programs know, and in ours.

Other programs: IPTC's digital source type and AI fields (IPTC Photo Metadata Standard 2025.1), the creator tool and the
date. Ours: a `PictureRecord`, and a `LayerRecord` for each layer with its id, role and name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from layerfusion.engine.formats import roles
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord, from_words, to_words

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OURS = roles.NAMESPACE
PREFIXES = {"x": "adobe:ns:meta/", "rdf": _RDF, "xmp": _XMP, "Iptc4xmpExt": _IPTC, "layerfusion": _OURS}

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MAX_PACKET = 2**22


def source_type(layers: Sequence[Layer], record: PictureRecord | None) -> str:
    """IPTC's digital source type of a picture: made by a trained model alone, or a composite with the artist's pixels.

    Returns:
        The address of the type; empty if nothing is known of the picture, which may be by hand altogether.
    """
    if record is None:
        return ""
    known = [layer.record for layer in layers]
    alone = all(record is not None and record.source in ("generated", "derived") for record in known)
    return SOURCE_TYPES + ("trainedAlgorithmicMedia" if alone else "compositeWithTrainedAlgorithmicMedia")


def to_xmp(stack: LayeredImage, layers: Sequence[Layer] | None = None) -> bytes:
    """The packet of a stack.

    Args:
        layers: those that are listed, with ids from 1 on, if not all: a file that holds a single layer lists that one.
    """
    listed = list(enumerate(stack.layers if layers is None else layers, start=1))
    root = ElementTree.Element(_tag("x", "xmpmeta"))
    about = ElementTree.SubElement(ElementTree.SubElement(root, _tag("rdf", "RDF")), _tag("rdf", "Description"))
    about.set(_tag("rdf", "about"), "")
    _put(about, "layerfusion", "roles", ";".join(f"{number}={layer.role.value}" for number, layer in listed))
    if stack.record is not None:
        for (prefix, name), value in standard_fields([layer for _, layer in listed], stack.record).items():
            _put(about, prefix, name, value)
        entries = [{"id": str(number), **_of_layer(layer)} for number, layer in listed]
        for name, value in {"title": stack.name, **to_words(stack.record), "layers": entries}.items():
            _put(about, "layerfusion", name, value)
    for prefix, address in PREFIXES.items():
        ElementTree.register_namespace(prefix, address)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="w"?>'.encode()


def standard_fields(layers: Sequence[Layer], record: PictureRecord) -> dict[tuple[str, str], str]:
    """What other programs read, by prefix and name; fields of which nothing is known are left out."""
    prompts = dict.fromkeys(layer.record.prompt for layer in layers if layer.record is not None)
    tool, _, version = record.tool.partition(" ")
    found = {
        ("xmp", "CreatorTool"): record.tool,
        ("xmp", "CreateDate"): record.created,
        ("Iptc4xmpExt", "DigitalSourceType"): source_type(layers, record),
        ("Iptc4xmpExt", "AISystemUsed"): f"{tool}, model {record.model}" if record.model else tool,
        ("Iptc4xmpExt", "AISystemVersionUsed"): version,
        ("Iptc4xmpExt", "AIPromptInformation"): " | ".join(filter(None, prompts)),
    }
    return {name: value for name, value in found.items() if value}


def _of_layer(layer: Layer) -> dict[str, Any]:
    words = {} if layer.record is None else to_words(layer.record)
    return {"role": layer.role.value, "name": layer.name, **words}


def read_xmp(data: bytes | str | None) -> tuple[PictureRecord | None, str, dict[int, LayerRecord]]:
    """What a packet says that we have written.

    Packets of other programs, damaged ones and documents types that declare entities say nothing.

    Returns:
        The picture's record, or None; its title; layer id -> the layer's record.
    """
    properties = _properties(data)
    if "model" not in properties and "tool" not in properties:
        return None, "", {}
    layers: dict[int, LayerRecord] = {}
    entries = properties.get("layers")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and str(entry.get("id", "")).isdecimal() and "source" in entry:
            layers[int(str(entry["id"])[:9])] = from_words(LayerRecord, entry)
    title = properties.get("title")
    return from_words(PictureRecord, properties), title if isinstance(title, str) else "", layers


def read_roles(data: bytes | str | None) -> dict[int, Role]:
    """Layer id -> role. A regular expression finds the property in either spelling, and in packets that are damaged."""
    raw = data.encode() if isinstance(data, str) else data
    match = re.search(rb'layerfusion:roles(?:="|>)([0-9a-z=;]*)', raw) if raw else None
    pairs = re.findall(r"([0-9]{1,9})=([a-z]+)", match[1].decode()) if match else []
    return {int(number): role for number, name in pairs if (role := roles.parse_role(name))}


def _put(parent: ElementTree.Element, prefix: str, name: str, value: Any) -> None:
    """Add a property: a text, a sequence of texts, or a sequence of structures."""
    element = ElementTree.SubElement(parent, _tag(prefix, name))
    if isinstance(value, str):
        element.text = roles.writable_name(value)
        return
    sequence = ElementTree.SubElement(element, _tag("rdf", "Seq"))
    for entry in value:
        item = ElementTree.SubElement(sequence, _tag("rdf", "li"))
        if isinstance(entry, str):
            item.text = roles.writable_name(entry)
        else:
            item.set(_tag("rdf", "parseType"), "Resource")
            for key, text in entry.items():
                _put(item, prefix, key, text)


def _properties(data: bytes | str | None) -> dict[str, Any]:
    """Our properties in a packet, without their prefix: text, or a list of texts and structures."""
    if not data or len(data) > _MAX_PACKET:
        return {}
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return {}
        start, end = text.index("<x:xmpmeta"), text.rindex("</x:xmpmeta>")
        root = ElementTree.fromstring(text[start : end + len("</x:xmpmeta>")])  # noqa: S314 - no document type
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError):
        return {}
    found: dict[str, Any] = {}
    for about in root.iter(_tag("rdf", "Description")):
        found |= _fields(about)
    return found


def _fields(element: ElementTree.Element) -> dict[str, Any]:
    """XMP allows a property as an attribute or as an element, and a structure in two spellings."""
    prefix = f"{{{_OURS}}}"
    found: dict[str, Any] = {
        name.removeprefix(prefix): value for name, value in element.attrib.items() if name.startswith(prefix)
    }
    for child in element:
        if child.tag.startswith(prefix):
            sequence = child.find(_tag("rdf", "Seq"))
            found[child.tag.removeprefix(prefix)] = child.text or "" if sequence is None else _entries(sequence)
    return found


def _entries(sequence: ElementTree.Element) -> list[Any]:
    entries: list[Any] = []
    for item in sequence.iterfind(_tag("rdf", "li")):
        nested = item.find(_tag("rdf", "Description"))
        inside = _fields(item if nested is None else nested)
        entries.append(inside or item.text or "")
    return entries


def _tag(prefix: str, name: str) -> str:
    return f"{{{PREFIXES[prefix]}}}{name}"
