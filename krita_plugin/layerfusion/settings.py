"""The values of the docker's fields as they are saved in a document, from which they come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .interfaces import GenerationParams

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
    return GenerationParams(**read)


def _fits(name: str, value: Any) -> bool:
    if name in ("foreground", "background", "negative", "blended"):
        return isinstance(value, str) and len(value) <= MAX_TEXT
    if name in ("model", "preset"):
        return value is None or (isinstance(value, str) and len(value) <= MAX_TEXT)
    if name == "in_selection":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if name == "strength":
        return isinstance(value, (int, float)) and 0 <= value <= 1
    low, high = {"seed": (0, 2**53 - 1), "steps": (1, 1000), "pictures": (1, 16)}[name]
    return (name == "steps" and value is None) or (isinstance(value, int) and low <= value <= high)
