"""The title of a job in lists and in Krita's layer docker: its prompts, shortened."""

from __future__ import annotations

from collections.abc import Iterable

PROMPT = 40
"""Most characters of one prompt in a title."""

TITLE = 255
"""Most characters of a title, which is also the limit of names."""


def shortened(prompt: str) -> str:
    """A prompt on one line with at most `PROMPT` characters. If it was cut, the last one is “…”."""
    line = " ".join(prompt.split())
    return line if len(line) <= PROMPT else f"{line[: PROMPT - 1].rstrip()}…"


def title(prompts: Iterable[str]) -> str:
    """The prompts, shortened and joined, in 1 to `TITLE` characters; “-” if all are empty."""
    return " + ".join(map(shortened, prompts))[:TITLE] or "-"
