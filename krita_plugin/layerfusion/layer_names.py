"""The names of the layers that the server draws, in the artist's language and in all others.

The server names them in English, also in the files that it writes: a name there is for every reader. In Krita they have
the artist's language. Their roles are recognised in every language, because a document may come from somebody else.
"""

from __future__ import annotations

import re

from .translation import everywhere, mark, tr

ROLES = {
    mark("Background"): "background",
    mark("Foreground"): "foreground",
    mark("Shadow"): "shadow",
    mark("Light"): "light",
    mark("Blended"): "blended",
}
"""English name -> role."""

_NUMBERS = range(1, 7)
"""Numbers of the foregrounds of a picture that has several."""

_REMARKS = (mark("{layer}, filled in"), mark("{layer} (relit)"), mark("{layer} (exact, this arrangement)"))
"""What the server adds to a name."""

_COPIES = re.compile(r"(?: 的副本|のコピー)+$")
"""What Krita puts after the name of a duplicate in Chinese and Japanese. In most other languages it comes before."""


def translated(name: str) -> str:
    """The name of a layer that was drawn, in the artist's language.

    Args:
        name: the server's name. What it made of the artist's own name for a layer stays as it is.
    """
    for remark in _REMARKS:
        end = remark.removeprefix("{layer}")
        if name.endswith(end):
            return tr(remark, layer=translated(name.removesuffix(end)))
    word, number = re.fullmatch(r"(.*?)( \d+)?", name, re.DOTALL).groups("")  # pyright: ignore[reportOptionalMemberAccess]
    return tr(word) + number if word in ROLES else name


def roles() -> dict[str, str]:
    """Name -> role, with the names in all languages, and those of several foregrounds."""
    names = {name: role for english, role in ROLES.items() for name in everywhere(english)}
    fronts = [name for name, role in names.items() if role == "foreground"]
    return names | {f"{name} {number}": "foreground" for name in fronts for number in _NUMBERS}


def is_named(layer: str, name: str) -> bool:
    """Whether the name of a layer is this one, or that of a duplicate as Krita names it, such as “Copy of ”."""
    own = _COPIES.sub("", layer)
    return name != "" and (own == name or own.endswith(f" {name}"))
