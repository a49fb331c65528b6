"""The title of a job in lists and in Krita's layer docker: its prompts, shortened."""

from __future__ import annotations

from collections.abc import Iterable

PROMPT = 40
"""Most characters of one prompt in a title."""

TITLE = 255
"""Most characters of a title, which is also the limit of names."""

_BETWEEN = " + "


def shortened(prompt: str) -> str:
    """A prompt on one line with at most `PROMPT` characters. If it was cut, the last one is “…”."""
    line = " ".join(prompt.split())
    return line if len(line) <= PROMPT else f"{line[: PROMPT - 1].rstrip()}…"


def title(prompts: Iterable[str]) -> str:
    """The prompts, shortened and joined, in 1 to `TITLE` characters; “-” if all are empty."""
    return _BETWEEN.join(map(shortened, prompts))[:TITLE] or "-"


def prompts_in(title: str) -> tuple[str, ...]:
    """The prompts of a title, foregrounds first; empty if it holds fewer than two, or a shortened one."""
    found = tuple(title.split(_BETWEEN))
    whole = all(prompt.strip() and not prompt.endswith("…") for prompt in found)
    return found if whole and len(found) > 1 and len(title) < TITLE else ()
