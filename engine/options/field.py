"""What an option is: a field of a settings class that says what it may be and what it does.

Its metadata holds `group`, two explanations (`artist`, `researcher`), and `limits`, one of

    choices=(…)          one of these names
    whole=(low, high)    a whole number
    number=(low, high)   a finite number
    flag=True            true or false
    text=N               a text of at most N characters

Where the default is None, None is allowed too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, field
from typing import Any

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_choice, check_flag, check_number, check_whole


def option_field(group: str, default: Any, artist: str, researcher: str, **limits: Any) -> Any:
    """A dataclass field that is an option."""
    return field(
        default=default, metadata={"group": group, "artist": artist, "researcher": researcher, "limits": limits}
    )


def _spoken(name: str) -> str:
    """An option's name as a sentence has it."""
    return name.replace("_", " ")


def check_value(option: Field[Any], value: object) -> None:
    """Raise `InvalidRequest` unless an option can have this value."""
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
    """The error for an option that does nothing beside another, as settings have them."""
    one, other = values[first], values[second]
    return InvalidRequest(
        f"The {_spoken(first)} is {one!r}, which does nothing with the {_spoken(second)} {other!r} and the other "
        "options as they are.",
        f"Leave the {_spoken(first)} out, or change the {_spoken(second)}.",
    )


def in_words(value: object) -> str:
    """An option's value as people and other programs write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def from_words(option: Field[Any], text: str) -> object:
    """An option's value from its words; what cannot be read is left as it is, for `check_value` to name."""
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
