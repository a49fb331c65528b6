"""The colours of documents and layers: which are those in which the server draws, and what the others are called."""

from __future__ import annotations

from typing import Any

from .translation import mark, tr

_MODELS = {
    "RGBA": "RGB",
    "GRAYA": mark("grayscale"),
    "CMYKA": "CMYK",
    "LABA": "L*a*b*",
    "XYZA": "XYZ",
    "YCbCrA": "YCbCr",
}
_DEPTHS = {"U8": mark("8-bit"), "U16": mark("16-bit"), "F16": mark("16-bit float"), "F32": mark("32-bit float")}
_OPAQUE = {"U8": b"\xff", "U16": b"\xff\xff", "F16": b"\x00\x3c", "F32": b"\x00\x00\x80\x3f"}
"""The bytes of an alpha of 1 for each depth. Alpha is the last channel of every colour model in Krita."""


def are_the_servers(what: Any) -> bool:
    """Whether a document or node has 8-bit sRGB, the colours in which the server draws."""
    return (what.colorModel(), what.colorDepth()) == ("RGBA", "U8") and is_srgb(what.colorProfile())


def blend_as_light(what: Any) -> bool:
    """Whether multiply darkens and add lightens. In CMYK, Krita multiplies and adds inks, so it is the other way."""
    return what.colorModel() in ("RGBA", "GRAYA")


def is_srgb(profile: str) -> bool:
    """Whether a colour profile of that name has sRGB's primaries and its tone curve."""
    name = profile.lower()
    return any(word.startswith("srgb") for word in name.split()) and "linear" not in name and "-g10" not in name


def described(what: Any) -> str:
    """The colours of a document or node in words."""
    model, depth, profile = str(what.colorModel()), str(what.colorDepth()), str(what.colorProfile())
    words = f"{tr(_DEPTHS.get(depth, depth))} {tr(_MODELS.get(model, model))}"
    return words if is_srgb(profile) else tr("{colours} with the profile “{profile}”", colours=words, profile=profile)


def are_opaque(pixels: bytes, depth: str, count: int) -> bool:
    """Whether all of `count` pixels are opaque; `depth` is Krita's name of it. Unknown depths are not."""
    alpha = _OPAQUE.get(depth)
    if alpha is None or count < 1:
        return False
    step = len(pixels) // count
    return all(pixels[step - len(alpha) + index :: step].count(byte) == count for index, byte in enumerate(alpha))
