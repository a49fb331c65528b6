"""Checks of single values. Whatever is wrong is said once, naming the field, the value and what to do.

A value of another type is named with its type. Numbers of NumPy are other types: what is asked for also travels to
other programs, and is printed and hashed, as plain numbers.
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
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:  # nan is in no range
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
    """Raise `InvalidRequest` unless `value` is a str that says something; `remedy` is what to give instead."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"The {name} is {said(value, str)}.", remedy)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether `value` is an int; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def said(value: object, *expected: type) -> str:
    """A value in at most 60 characters, followed by its type unless it has one of the types expected.

    A bool is an int only to Python.
    """
    try:
        text = repr(value)
    except Exception:  # the value is anybody's, and so is its `__repr__`; Python's own refuses ints of 5000 digits
        return f"of type {_name(type(value))}"
    text = shortened(text, 60)
    right = isinstance(value, expected) and (not isinstance(value, bool) or bool in expected)
    return text if right or value is None else f"{text} (type {_name(type(value))})"


def shortened(text: str, length: int) -> str:
    """A text for a list or a message: at most `length` characters, the last one “…” if some are cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _name(kind: type) -> str:
    """A type's name; with its module where it is not one of Python's own: numpy.int64, PIL.Image.Image."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
