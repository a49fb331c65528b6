"""How the values of options are read. Each reader names what it was given and what it takes instead."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

from layerfusion.engine.image.geometry import Size

_DIGITS = 20
"""Digits of a whole number that are read; no option takes one as long as that."""


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argparse type for a whole number from `low` to `high`, both included."""

    def read(text: str) -> int:
        if re.fullmatch(rf"[+-]?[0-9]{{1,{_DIGITS}}}", text.strip()) is None or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"“{text}” is no whole number from {low} to {high}")
        return int(text)

    return read


def number(low: float, high: float, *, above: bool = False) -> Callable[[str], float]:
    """An argparse type for a finite number from `low` to `high`, both included, or without `low` if `above`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high or (above and value == low):
            span = f"above {low:g}, up to {high:g}" if above else f"from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"“{text}” is no number {span}")
        return value

    return read


def size(text: str) -> Size:
    """An argparse type for `WxH`, in pixels."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"“{text}” is no size; write width x height, for example 512x512")
    return Size(int(match[1]), int(match[2]))
