"""The syntax of prompts, as A1111 and ComfyUI users write them.

| written | meaning |
|---|---|
| `(apple)`, `((apple))` | weight 1.1, 1.21 |
| `(apple:1.3)` | weight 1.3, inside other brackets times theirs |
| `[apple]` | weight 1 / 1.1 |
| `\\(`, `\\)`, `\\[`, `\\]`, `\\\\` | the character itself |
| `BREAK` | the rest begins a new chunk |
| `<lora:name:0.8>` | the LoRA acts on the whole picture with this strength |
| `embedding:name`, or `name` alone | a textual inversion |

A bracket that is not closed ends with the prompt; one that closes nothing is text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

UP = 1.1
"""The factor of a pair of round brackets; square ones divide by it."""

MAX_WEIGHT = 10.0
"""Largest amount of a weight (our choice); larger ones are cut to it."""


@dataclass(frozen=True)
class Span:
    """A piece of a prompt.

    Attributes:
        text: the text; for a textual inversion its name.
        weight: its weight, 1 for ordinary text.
        embedding: whether it is a textual inversion.
        breaks: whether a new chunk begins after it.
    """

    text: str
    weight: float = 1.0
    embedding: bool = False
    breaks: bool = False


@dataclass(frozen=True)
class LoraTag:
    """`<lora:name:strength>`.

    Attributes:
        name: the file's name without its suffix.
        strength: factor of the weight change.
    """

    name: str
    strength: float


@dataclass(frozen=True)
class ParsedPrompt:
    """A prompt that was read.

    Attributes:
        spans: its pieces, in order.
        loras: its LoRA tags, in order.
        ignored: what it says that no model here can use, as it was written.
        is_literal: whether every character is text, names of textual inversions too.
    """

    spans: tuple[Span, ...]
    loras: tuple[LoraTag, ...] = ()
    ignored: tuple[str, ...] = ()
    is_literal: bool = False

    @property
    def text(self) -> str:
        """The words alone, without weights, tags and textual inversions."""
        words = " ".join(span.text for span in self.spans if not span.embedding)
        return re.sub(r"\s+([,.;])", r"\1", " ".join(words.split()))

    @property
    def is_plain(self) -> bool:
        """Whether it is one piece of ordinary text."""
        return len(self.spans) <= 1 and all(span == Span(span.text) for span in self.spans)


_TAG = re.compile(r"<(?P<kind>[a-z]+):(?P<name>[^<>:]+)(?::(?P<rest>[^<>]*))?>", re.IGNORECASE)
_SWITCHING = re.compile(r"\[([^\[\]()<>|]*\|[^\[\]()<>]*|[^\[\]()<>:|]*:[^\[\]()<>:|]*:?\s*\d*\.?\d+\s*)\]")
_TOKEN = re.compile(
    r"\\[()\[\]\\]"
    r"|[(\[]"
    r"|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)"
    r"|[)\]]"
    r"|(?<!\S)(?P<word>BREAK|AND)(?!\S)"
    r"|(?<!\w)embedding:(?P<embedding>[\w./ -]*[\w-])"
    r"|[^\\()\[\]:BAe]+|.",
    re.DOTALL,
)


def literal(prompt: str) -> ParsedPrompt:
    """A prompt every character of which is text."""
    return ParsedPrompt((Span(prompt),), is_literal=True)


def parse(prompt: str) -> ParsedPrompt:
    """Read a prompt. No text is invalid: what is no syntax is text."""
    loras: list[LoraTag] = []
    ignored: list[str] = []

    def tag(match: re.Match[str]) -> str:
        strength = _strength(match["rest"])
        if match["kind"].casefold() == "lora" and strength is not None:
            loras.append(LoraTag(match["name"].strip(), strength))
        else:
            ignored.append(match[0])
        return ""

    def switching(match: re.Match[str]) -> str:
        ignored.append(match[0])
        parts = re.split(r"[|:]", match[1])
        return parts[0] if "|" in match[1] or len(parts) < 3 else parts[1] or parts[0]

    if not re.search(r"[()\[\]<>\\]|BREAK|AND|embedding:", prompt):
        return ParsedPrompt((Span(prompt),))
    text = _SWITCHING.sub(switching, _TAG.sub(tag, prompt))
    spans = _Reader(ignored).read(text)
    return ParsedPrompt(spans, tuple(loras), tuple(dict.fromkeys(ignored)))


def closed(prompt: str) -> str:
    """A prompt whose brackets are all closed, so that it can stand inside another."""
    open_brackets: list[str] = []
    for match in _TOKEN.finditer(prompt):
        if match[0] in "([":
            open_brackets.append({"(": ")", "[": "]"}[match[0]])
        elif match[0][-1] in ")]" and match[0][0] != "\\" and open_brackets and open_brackets[-1] == match[0][-1]:
            open_brackets.pop()
    return prompt + "".join(reversed(open_brackets))


def _strength(rest: str | None) -> float | None:
    """The strength in a tag, 1 if it has none; the first if there are several (one per network); None if it is none."""
    try:
        value = float((rest or "1").split(":")[0])
    except ValueError:
        return None
    return value if abs(value) <= MAX_WEIGHT else None


class _Reader:
    """Reads a prompt from left to right. Brackets multiply the weights of all pieces since they were opened."""

    def __init__(self, ignored: list[str]) -> None:
        self._ignored = ignored
        self._pieces: list[Span] = []
        self._open: list[tuple[str, int]] = []

    def read(self, text: str) -> tuple[Span, ...]:
        for match in _TOKEN.finditer(text):
            self._take(match)
        while self._open:
            self._close(UP if self._open[-1][0] == "(" else 1 / UP)
        return _merged(self._pieces)

    def _take(self, match: re.Match[str]) -> None:
        piece, bracket = match[0], self._open[-1][0] if self._open else ""
        if piece in ("(", "["):
            self._open.append((piece, len(self._pieces)))
        elif match["weight"] is not None and bracket == "(":
            self._close(float(match["weight"]))
        elif piece == ")" and bracket == "(":
            self._close(UP)
        elif piece == "]" and bracket == "[":
            self._close(1 / UP)
        elif match["word"] == "BREAK":
            self._pieces.append(Span("", breaks=True))
        elif match["word"] == "AND":
            self._ignored.append("AND")
            self._pieces.append(Span(","))
        elif match["embedding"] is not None:
            self._pieces.append(Span(match["embedding"].strip(), embedding=True))
        else:
            self._pieces.append(Span(piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece))

    def _close(self, factor: float) -> None:
        _, start = self._open.pop()
        for index in range(start, len(self._pieces)):
            piece = self._pieces[index]
            weight = max(-MAX_WEIGHT, min(MAX_WEIGHT, piece.weight * factor))
            self._pieces[index] = Span(piece.text, weight, piece.embedding, piece.breaks)


def _merged(pieces: list[Span]) -> tuple[Span, ...]:
    """Neighbouring pieces of text with one weight become one; pieces without text go."""
    merged: list[Span] = []
    for piece in pieces:
        if piece.breaks:
            if merged:
                last = merged[-1]
                merged[-1] = Span(last.text, last.weight, last.embedding, breaks=True)
            continue
        last = merged[-1] if merged else None
        joins = last is not None and not (last.embedding or piece.embedding or last.breaks)
        if last is not None and joins and last.weight == piece.weight:
            merged[-1] = Span(last.text + piece.text, last.weight)
        elif piece.text:
            merged.append(piece)
    return tuple(span for span in merged if span.text.strip() or span.breaks)
