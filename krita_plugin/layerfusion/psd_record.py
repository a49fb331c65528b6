"""What an exported PSD says of itself. Krita writes nothing of the kind, so that it is put into Krita's file.

It is an XMP packet (ISO 16684-1) among the image resources: IPTC's digital source type, the program, and what the
server has told about the picture, in the fields in which LayerFusion's own files say it.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from .server_link import VERSION

WITHOUT_PROMPTS = "LayerFusion"
"""What stands in place of a title, which consists of prompts, in a file that says none."""

_PREFIXES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "layerfusion": "urn:layerfusion:stack:1",
}
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""The artist may have painted on any layer since it was drawn."""

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XMP = 1060
_HEADER = 26


def packet(title: str, made_of: str, prompts: bool) -> bytes:
    """The XMP packet.

    Args:
        title: the group's name.
        made_of: what the server has told with `Done.record`; may be empty.
        prompts: whether it says the prompts and the seed.
    """
    picture, layers = _told(made_of)
    said = dict.fromkeys(str(layer["prompt"]) for layer in layers if layer.get("prompt"))
    if not prompts:
        picture = {name: value for name, value in picture.items() if name not in ("blended_prompt", "seed")}
        title, said = WITHOUT_PROMPTS, {}
    tool = str(picture.get("tool") or f"LayerFusion {VERSION}")
    name, _, version = tool.partition(" ")
    model = picture.get("model")
    root = ElementTree.Element(_tag("x", "xmpmeta"))
    about = ElementTree.SubElement(ElementTree.SubElement(root, _tag("rdf", "RDF")), _tag("rdf", "Description"))
    about.set(_tag("rdf", "about"), "")
    for prefix, key, value in [
        ("xmp", "CreatorTool", tool),
        ("xmp", "CreateDate", picture.get("created")),
        ("Iptc4xmpExt", "DigitalSourceType", _SOURCE_TYPE),
        ("Iptc4xmpExt", "AISystemUsed", f"{name}, model {model}" if model else name),
        ("Iptc4xmpExt", "AISystemVersionUsed", version),
        ("Iptc4xmpExt", "AIPromptInformation", " | ".join(said)),
        *(("layerfusion", key, value) for key, value in {"title": title, **picture, "tool": tool}.items()),
    ]:
        if value:
            _put(about, prefix, key, value)
    for prefix, address in _PREFIXES.items():
        ElementTree.register_namespace(prefix, address)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="w"?>'.encode()


def stamp(path: Path, data: bytes) -> None:
    """Put an XMP packet into a PSD file, in place of one that is there.

    Raises:
        OSError: it cannot be read or written; the file is as it was.
        ValueError: it is no PSD.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with path.open("rb") as source, part.open("wb") as target:
            head = source.read(_HEADER)
            if head[:4] != b"8BPS":
                raise ValueError("no PSD")
            colours, resources = _section(source), _section(source)
            kept = _without_xmp(resources)
            kept += struct.pack(">4sHHI", b"8BIM", _XMP, 0, len(data)) + data + bytes(len(data) % 2)
            for content in (head, _counted(colours), _counted(kept)):
                target.write(content)
            shutil.copyfileobj(source, target)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _told(made_of: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the server has told of the picture and of its layers; the text may come from a stranger's document."""
    try:
        values = json.loads(made_of)
        picture, layers = values["picture"], values["layers"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}, []
    whole = picture if isinstance(picture, dict) else {}
    named = {name: value for name, value in whole.items() if re.fullmatch("[a-z][a-z0-9_]{0,40}", str(name))}
    return named, [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def _section(source: BinaryIO) -> bytes:
    (length,) = struct.unpack(">I", _exactly(source, 4))
    return _exactly(source, length)


def _exactly(source: BinaryIO, length: int) -> bytes:
    data = source.read(length)
    if len(data) < length:
        raise ValueError("the PSD is cut short")
    return data


def _counted(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _without_xmp(resources: bytes) -> bytes:
    """The image resources without those that hold XMP."""
    kept, at = b"", 0
    while at + 12 <= len(resources):
        name = resources[at + 6] + 1
        name += name % 2
        (length,) = struct.unpack_from(">I", resources, at + 6 + name)
        end = at + 10 + name + length + length % 2
        if struct.unpack_from(">H", resources, at + 4) != (_XMP,):
            kept += resources[at:end]
        at = end
    return kept


def _put(parent: ElementTree.Element, prefix: str, name: str, value: Any) -> None:
    """Add a property: a text, a list of texts, or a list of structures."""
    element = ElementTree.SubElement(parent, _tag(prefix, name))
    if not isinstance(value, list):
        element.text = _UNWRITABLE.sub("\ufffd", str(value))
        return
    sequence = ElementTree.SubElement(element, _tag("rdf", "Seq"))
    for entry in value:
        item = ElementTree.SubElement(sequence, _tag("rdf", "li"))
        if isinstance(entry, dict):
            item.set(_tag("rdf", "parseType"), "Resource")
            for key, text in entry.items():
                if re.fullmatch("[a-z][a-z0-9_]{0,40}", str(key)):
                    _put(item, prefix, key, str(text))
        else:
            item.text = _UNWRITABLE.sub("\ufffd", str(entry))


def _tag(prefix: str, name: str) -> str:
    return f"{{{_PREFIXES[prefix]}}}{name}"
