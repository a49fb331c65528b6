"""Checks of single values. An error names the field, the value and the remedy.

If a value has the wrong type, the error names its type, too. NumPy's numbers are not accepted for int or float, because
values are also sent to other programs, printed and hashed as plain Python numbers.
"""

from __future__ import annotations

from typing import TypeGuard

from layerfusion.engine.errors import InvalidRequest


def check_whole(name: str, value: object, *, low: int, high: int, unit: str = "") -> None:
    """Raise `InvalidRequest` unless `value` is an int from `low` to `high`."""
    if not is_whole(value) or not low <= value <= high:
        what = f"a whole number of {unit}" if unit else "a whole number"
        raise InvalidRequest(f"The {name} is {said(value, int)}.", f"Choose {what} from {low} to {high}.")


def check_number(name: str, value: object, *, low: float, high: float) -> None:
    """Raise `InvalidRequest` unless `value` is a finite number from `low` to `high`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:  # not true for nan
        raise InvalidRequest(f"The {name} is {said(value, int, float)}.", f"Choose a number from {low:g} to {high:g}.")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise `InvalidRequest` unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(f"The {name} is {said(value, str)}.", f"Choose one of: {', '.join(choices)}.")


def check_flag(name: str, value: object) -> None:
    """Raise `InvalidRequest` unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"The {name} is {said(value, bool)}.", "Choose true or false.")


def check_text(name: str, value: object, remedy: str) -> None:
    """Raise `InvalidRequest`, with `remedy` as its hint, unless `value` is a str that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"The {name} is {said(value, str)}.", remedy)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is an int other than True and False."""
    return isinstance(value, int) and not isinstance(value, bool)


def said(value: object, *expected: type) -> str:
    """A value for an error message: at most 60 characters, followed by its type unless that is one of `expected`.

    A bool does not count as an int.
    """
    try:
        text = repr(value)
    except Exception:  # a foreign class's `__repr__` may raise anything; Python's own raises for an int of 5000 digits
        return f"of type {_name(type(value))}"
    text = shortened(text, 60)
    right = isinstance(value, expected) and (not isinstance(value, bool) or bool in expected)
    return text if right or value is None else f"{text} (type {_name(type(value))})"


def shortened(text: str, length: int) -> str:
    """Shorten a text to at most `length` characters; the last one is “…” if some were cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _name(kind: type) -> str:
    """A type's name; with its module unless the type is built in, such as numpy.int64 or PIL.Image.Image."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
