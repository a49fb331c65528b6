"""What an exported PSD says of itself, so that others know how it was made and LayerFusion can draw it again.

It is an XMP packet (ISO 16684-1) among the image resources: IPTC's digital source type, the program, and what the
server has told about the picture and its layers, in the fields in which LayerFusion's own files say it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from .handshake import VERSION

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
_PROMPTS = ("prompt", "negative_prompt", "seed")
"""Fields of a layer that are left out with its prompts."""


@dataclass(frozen=True)
class Listed:
    """A layer of the file with a role.

    Attributes:
        id: its number in the file.
        role: its role.
        name: its name.
        place: its index among the layers of which the server has told; None if it is none of them.
    """

    id: int
    role: str
    name: str
    place: int | None


def packet(title: str, made_of: str, listed: Sequence[Listed], prompts: bool) -> bytes:
    """The XMP packet.

    Args:
        title: the group's name.
        made_of: what the server has told with `Done.record`; may be empty.
        listed: the layers, bottom first.
        prompts: whether it says the prompts and the seed.
    """
    picture, layers = _told(made_of)
    said = dict.fromkeys(str(layer["prompt"]) for layer in layers if layer.get("prompt"))
    if not prompts:
        picture = {name: value for name, value in picture.items() if name not in ("blended_prompt", "seed")}
        title, said = WITHOUT_PROMPTS, {}
        layers = [{name: value for name, value in layer.items() if name not in _PROMPTS} for layer in layers]
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
        ("layerfusion", "roles", ";".join(f"{each.id}={each.role}" for each in listed)),
        *(("layerfusion", key, value) for key, value in {"title": title, **picture, "tool": tool}.items()),
        ("layerfusion", "layers", [_about(each, layers) for each in listed]),
    ]:
        if value:
            _put(about, prefix, key, value)
    for prefix, address in _PREFIXES.items():
        ElementTree.register_namespace(prefix, address)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{body}<?xpacket end="w"?>'.encode()


def _about(listed: Listed, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """What is said of one layer."""
    known = listed.place is not None and listed.place < len(layers)
    told = layers[listed.place] if known and listed.place is not None else {}
    return {"id": listed.id, "role": listed.role, "name": listed.name, **{k: v for k, v in told.items() if k != "id"}}


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
