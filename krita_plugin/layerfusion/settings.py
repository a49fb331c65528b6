"""The values of the docker's fields as they are saved in a document, from which they come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from .interfaces import GenerationParams, OtherForeground

MOST_OTHERS = 5
"""The most further foregrounds."""
_SHAPE = "[0-9]{1,3}x[0-9]{1,3}:[A-Za-z0-9+/=]{1,90000}"
MAX_TEXT = 20_000
"""Characters of the longest text that is read: a document may come from a stranger."""


def params_of(values: Mapping[str, Any]) -> GenerationParams:
    """The values of the fields that a document has saved, or the record of a group.

    What is missing or makes no sense has its default. Unknown names are ignored: a later version may have added them.
    """
    first = GenerationParams(foreground="", background="")
    read = {}
    for field in fields(GenerationParams):
        value, default = values.get(field.name), getattr(first, field.name)
        read[field.name] = value if _fits(field.name, value) else default
    read["others"] = tuple(_others_of(values.get("others")))
    return GenerationParams(**read)


def _others_of(values: Any) -> Iterator[OtherForeground]:
    """The further foregrounds that are saved; those that make no sense are left out."""
    for value in values[:MOST_OTHERS] if isinstance(values, (list, tuple)) else ():
        if not isinstance(value, Mapping) or not _fits("foreground", value.get("prompt")):
            continue
        seed = value.get("seed")
        place, shape = _box_of(value.get("box")), value.get("shape")
        fits = isinstance(shape, str) and place is not None and re.fullmatch(_SHAPE, shape) is not None
        seed = seed if _is_whole(seed) and _fits("seed", seed) else None
        yield OtherForeground(value["prompt"], seed, place, shape if fits else None)


def _box_of(box: Any) -> tuple[int, int, int, int] | None:
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(_is_whole(side) for side in box):
        return None
    x, y, width, height = box
    return (x, y, width, height) if min(x, y) >= 0 and min(width, height) > 0 else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _fits(name: str, value: Any) -> bool:
    if name in ("foreground", "background", "negative", "blended"):
        return isinstance(value, str) and len(value) <= MAX_TEXT
    if name in ("model", "preset", "style"):
        return value is None or (isinstance(value, str) and len(value) <= MAX_TEXT)
    if name == "others":
        return False  # they are read one by one
    if name in ("in_selection", "background_in_selection"):
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if name == "strength":
        return isinstance(value, (int, float)) and 0 <= value <= 1
    low, high = {"seed": (0, 2**53 - 1), "steps": (1, 1000), "pictures": (1, 16)}[name]
    return (name == "steps" and value is None) or (isinstance(value, int) and low <= value <= high)
