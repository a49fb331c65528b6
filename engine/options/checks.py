"""Checks of single values. Whatever is wrong is said once, naming the field, the value and what to do."""

from __future__ import annotations

import math

from layerfusion.engine.errors import InvalidRequest


def check_whole(name: str, value: object, *, low: int, high: int) -> None:
    """Raise `InvalidRequest` unless `value` is an int from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(f"The {name} is {_short(value)}.", f"Choose a whole number from {low} to {high}.")


def check_number(name: str, value: object, *, low: float, high: float) -> None:
    """Raise `InvalidRequest` unless `value` is a finite number from `low` to `high`."""
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise InvalidRequest(f"The {name} is {_short(value)}.", f"Choose a number from {low:g} to {high:g}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `InvalidRequest` unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(f"The {name} is {_short(value)}.", f"Choose one of: {', '.join(choices)}.")


def check_switch(name: str, value: object) -> None:
    """Raise `InvalidRequest` unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"The {name} is {_short(value)}.", "Choose true or false.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
