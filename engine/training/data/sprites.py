"""The objects' pictures: Microsoft's Fluent emoji by name, recoloured where asked, and the translucent things.

The sprites come from two npm packages, fetched once by whoever trains (`npm pack`, then unpacked):
@lobehub/fluent-emoji-3d 1.1.0 (the pictures, named by code point) and emojibase-data 17.0.0 (names of code points).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.data import translucent
from layerfusion.engine.training.data.vocabulary import FIRST, TRANSLUCENT, Vocabulary, thing_of

PICTURES, NAMES = "fluent-emoji-3d", "emojibase-data"
_FETCH = (
    "Run `npm pack @lobehub/fluent-emoji-3d@1.1.0 emojibase-data@17.0.0` there and unpack each archive into a folder "
    f"of its own, `{PICTURES}` and `{NAMES}`."
)
_BASE_HUE = {"automobile": 355, "balloon": 350, "backpack": 335}
_HUES = {"red": 352, "orange": 25, "yellow": 48, "green": 130, "blue": 215, "purple": 275, "pink": 325}


class SpriteLibrary:
    """Sprites by the vocabulary's names, uint8 RGBA cropped to what can be seen, straight alpha.

    Args:
        folder: holds the two unpacked packages.
        vocabulary: the edition's.

    Raises:
        InvalidRequest: a package is not there.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary = FIRST) -> None:
        self.vocabulary = vocabulary
        self._pictures = folder / PICTURES / "package" / "assets"
        names = folder / NAMES / "package" / "en" / "data.json"
        for needed in (self._pictures, names):
            if not needed.exists():
                raise InvalidRequest(f"The sprites' package {needed} is missing.", _FETCH)
        entries = json.loads(names.read_text(encoding="utf-8"))
        self._codes = {entry["label"]: entry["hexcode"].lower() for entry in entries}
        self._made: dict[str, Image.Image] = {}

    def get(self, name: str) -> Image.Image:
        """The sprite of `owl`, `blue car`, `green bottle`, …"""
        if name not in self._made:
            self._made[name] = translucent.draw(name) if name in TRANSLUCENT else self._sprite(name)
        return self._made[name]

    def _sprite(self, name: str) -> Image.Image:
        _, thing, hue = thing_of(name, self.vocabulary.things)
        picture = Image.open(self._pictures / f"{self._codes[thing.label]}.webp").convert("RGBA")
        seen = picture.getchannel("A").point([255 * (value > 12) for value in range(256)]).getbbox()
        picture = picture.crop(seen)
        return _recoloured(picture, _BASE_HUE[thing.label], _HUES[hue]) if hue else picture


def _recoloured(picture: Image.Image, base: int, target: int) -> Image.Image:
    """Turn the hues within 50 degrees of `base` to `target`; greys, windows and tyres keep theirs."""
    rgba = np.asarray(picture)
    hsv = np.asarray(picture.convert("RGB").convert("HSV")).astype(np.float32)
    hue = hsv[..., 0] * 360 / 255
    away = (hue - base + 180) % 360 - 180
    paint = (np.abs(away) < 50) & (hsv[..., 1] > 60)
    hsv[..., 0] = np.where(paint, (target + away * 0.4) % 360 * 255 / 360, hsv[..., 0])
    if target == _HUES["yellow"]:
        hsv[..., 2] = np.where(paint, np.minimum(255, hsv[..., 2] * 1.12), hsv[..., 2])
    rgb = np.asarray(Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB"))
    return Image.fromarray(np.dstack([rgb, rgba[..., 3]]), "RGBA")
