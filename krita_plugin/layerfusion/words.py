"""Words for people: lists, lengths, names."""

from __future__ import annotations

import re


def listed(items: tuple[str, ...]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def shortened(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= 40 else f"{line[:39].rstrip()}…"


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def file_name(text: str) -> str:
    """Without the characters that Windows, macOS or Linux do not take in the name of a file."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", text).strip(" .") or "layers"


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"
