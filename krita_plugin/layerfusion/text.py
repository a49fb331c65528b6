"""Words for people: lists, lengths, names."""

from __future__ import annotations

import re

PRESETS = (
    ("Model's own", None, "What suits the chosen model"),
    ("Paper", "paper", "Step by step as it was published: the slowest, to compare the others with"),
    ("Exact", "exact", "Leaves nothing out, but finds the outlines in passing: much like Paper, and quicker"),
    ("Balanced", "balanced", "Saves work on the last steps: small details may come out a little differently"),
    ("Fast", "fast", "Saves work on the first and last steps: to try out ideas"),
)
"""Titles, the protocol's names (None: none) and descriptions."""

STAGES = {
    "loading_model": "Loading the model",
    "reading_prompts": "Reading the prompts",
    "drafting": "Drafting what stands in the selection",
    "drawing": "Drawing",
    "refining": "Refining",
    "decoding": "Making the layers",
}
"""The protocol's codes of what a job is busy with, in our words."""


def stage(code: str, text: str) -> str:
    """What a job is busy with: in our words; in the server's for a code we do not know. Servers before 1.3 send words
    in the place of the code."""
    words = STAGES.get(code) or text or code
    return words[:1].upper() + words[1:]


def listed(items: tuple[str, ...]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def file_name(text: str) -> str:
    """Without the characters that Windows, macOS or Linux do not take in the name of a file."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", text).strip(" .") or "layers"


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"
