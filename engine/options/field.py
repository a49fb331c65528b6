"""Options: fields of a settings class that carry their range and their explanations.

The metadata of such a field holds `group`, two explanations (`artist`, `researcher`), and `limits`, one of

    choices=(…)          one of these names
    whole=(low, high)    a whole number
    number=(low, high)   a finite number
    flag=True            true or false
    text=N               a text of at most N characters

If the default is None, None is allowed, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, field
from typing import Any

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_choice, check_flag, check_number, check_whole


def option_field(group: str, default: Any, artist: str, researcher: str, **limits: Any) -> Any:
    """Make a dataclass field that is an option.

    Args:
        group: the heading under which the option is documented.
        default: its default value.
        artist: what it does, for an artist.
        researcher: what it does, in the paper's terms.
        limits: one of the limits that this module lists.
    """
    return field(
        default=default, metadata={"group": group, "artist": artist, "researcher": researcher, "limits": limits}
    )


def _spoken(name: str) -> str:
    """An option's name as words in a sentence."""
    return name.replace("_", " ")


def check_value(option: Field[Any], value: object) -> None:
    """Raise `InvalidRequest` unless `value` is valid for the option."""
    name, limits = _spoken(option.name), option.metadata["limits"]
    if value is None and option.default is None:
        return
    if "choices" in limits:
        check_choice(name, value, limits["choices"])
    elif "whole" in limits:
        check_whole(name, value, low=limits["whole"][0], high=limits["whole"][1])
    elif "number" in limits:
        check_number(name, value, low=limits["number"][0], high=limits["number"][1])
    elif "flag" in limits:
        check_flag(name, value)
    elif not isinstance(value, str) or len(value) > limits["text"]:
        raise InvalidRequest(f"The {name} are {value!r:.60}.", f"Write at most {limits['text']} characters.")


def contradiction(values: Mapping[str, Any], first: str, second: str) -> InvalidRequest:
    """The error for an option `first` that has no effect because of the value of `second`."""
    one, other = values[first], values[second]
    return InvalidRequest(
        f"The {_spoken(first)} is {one!r}, which does nothing with the {_spoken(second)} {other!r} and the other "
        "options as they are.",
        f"Leave the {_spoken(first)} out, or change the {_spoken(second)}.",
    )


def in_words(value: object) -> str:
    """An option's value as people and other programs write it: `true`, `none`, `0.5`."""
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def from_words(option: Field[Any], text: str) -> object:
    """Read an option's value from text. A text that cannot be read is returned unchanged; `check_value` refuses it."""
    limits, word = option.metadata["limits"], text.strip()
    if word.lower() == "none" and "choices" not in limits:
        return None
    if "flag" in limits:
        return {"true": True, "false": False}.get(word.lower(), text)
    try:
        if "whole" in limits:
            return int(word)
        return float(word) if "number" in limits else word
    except ValueError:
        return text
