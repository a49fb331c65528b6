"""What a switch is: a field of a settings class that says what it may be and what it does.

Its metadata holds `group`, two explanations (`artist`, `researcher`), and `limits`, one of

    choices=(…)          one of these names
    whole=(low, high)    a whole number
    number=(low, high)   a finite number
    switch=True          true or false
    text=N               a text of at most N characters

Where the default is None, None is allowed too.
"""

from __future__ import annotations

from dataclasses import Field, field
from typing import Any

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.options.checks import check_choice, check_number, check_switch, check_whole


def option_field(group: str, default: Any, artist: str, researcher: str, **limits: Any) -> Any:
    """A dataclass field that is a switch."""
    return field(
        default=default, metadata={"group": group, "artist": artist, "researcher": researcher, "limits": limits}
    )


def _spoken(name: str) -> str:
    """A switch's name as a sentence has it."""
    return name.replace("_", " ")


def check_value(switch: Field[Any], value: object) -> None:
    """Raise `InvalidRequest` unless a switch can have this value."""
    name, limits = _spoken(switch.name), switch.metadata["limits"]
    if value is None and switch.default is None:
        return
    if "choices" in limits:
        check_choice(name, value, limits["choices"])
    elif "whole" in limits:
        check_whole(name, value, low=limits["whole"][0], high=limits["whole"][1])
    elif "number" in limits:
        check_number(name, value, low=limits["number"][0], high=limits["number"][1])
    elif "switch" in limits:
        check_switch(name, value)
    elif not isinstance(value, str) or len(value) > limits["text"]:
        raise InvalidRequest(f"The {name} are {value!r:.60}.", f"Write at most {limits['text']} characters.")


def contradiction(settings: object, first: str, second: str) -> InvalidRequest:
    """The error for a switch that does nothing beside another, as settings have them."""
    one, other = getattr(settings, first), getattr(settings, second)
    return InvalidRequest(
        f"The {_spoken(first)} is {one!r}, which does nothing with the {_spoken(second)} {other!r} and the other "
        "switches as they are.",
        f"Leave the {_spoken(first)} out, or change the {_spoken(second)}.",
    )


def in_words(value: object) -> str:
    """A switch's value as people and other programs write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def from_words(switch: Field[Any], text: str) -> object:
    """A switch's value from its words; what cannot be read is left as it is, for `check_value` to name."""
    limits, word = switch.metadata["limits"], text.strip()
    if word.lower() == "none" and "choices" not in limits:
        return None
    if "switch" in limits:
        return {"true": True, "false": False}.get(word.lower(), text)
    try:
        if "whole" in limits:
            return int(word)
        return float(word) if "number" in limits else word
    except ValueError:
        return text
