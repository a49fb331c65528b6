"""What a job is called in lists and in the layer docker: its prompts, shortened."""

from __future__ import annotations

from collections.abc import Iterable

PROMPT = 40
"""Characters of one prompt."""

TITLE = 255
"""Characters of them all, as many as a name has."""


def shortened(prompt: str) -> str:
    """A prompt on one line, of at most `PROMPT` characters, the last one “…” if some are cut."""
    line = " ".join(prompt.split())
    return line if len(line) <= PROMPT else f"{line[: PROMPT - 1].rstrip()}…"


def title(prompts: Iterable[str]) -> str:
    """The prompts, shortened and joined: 1 to `TITLE` characters, “-” if they say nothing."""
    return " + ".join(map(shortened, prompts))[:TITLE] or "-"
