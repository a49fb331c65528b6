"""Prompts as chunks of tokens with weights.

A text encoder reads a fixed number of tokens, 77 with SDXL: start, up to 75, end. A longer prompt goes on in further
chunks, each with a start and an end of its own, whose encodings are joined one after the other, as in A1111 and in
kohya's trainers. A chunk that would end within a phrase ends at the last comma instead if that is among its last 20
tokens, as in A1111.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor
from transformers import CLIPTokenizer

from layerfusion.engine.prompt_syntax import ParsedPrompt, Span

MAX_CHUNKS = 4
"""Most chunks of a prompt (our choice): 300 tokens with SDXL."""

_LOOK_BACK = 20
"""Tokens among which a comma is looked for."""


@dataclass(frozen=True)
class Embedding:
    """A textual inversion: vectors that stand for tokens.

    Attributes:
        vectors: (tokens, channels) for each of the two text encoders; both have as many tokens.
        bare: whether its name alone stands for it, as in A1111, without `embedding:` before it.
    """

    vectors: tuple[Tensor, Tensor]
    bare: bool = False

    def __len__(self) -> int:
        return len(self.vectors[0])


@dataclass(frozen=True)
class Token:
    """One place in a chunk.

    Attributes:
        id: the token; with `vector`, any.
        weight: the weight of what is read there.
        vector: the vector that replaces the token's own, for each text encoder; None for ordinary tokens.
    """

    id: int
    weight: float = 1.0
    vector: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class ChunkedPrompt:
    """A prompt as chunks.

    Attributes:
        chunks: 1 to `most` chunks of at most the tokenizer's length less 2 tokens.
        is_cut: whether the end of the prompt did not fit.
    """

    chunks: tuple[tuple[Token, ...], ...]
    is_cut: bool


def chunked(
    prompt: ParsedPrompt, tokenizer: CLIPTokenizer, embeddings: Mapping[str, Embedding], most: int
) -> ChunkedPrompt:
    """Split a prompt into chunks.

    Args:
        prompt: the prompt.
        tokenizer: either of the model's tokenizers; the ids of both are the same.
        embeddings: name -> textual inversion; spans with another name are left out.
        most: most chunks.
    """
    room = tokenizer.model_max_length - 2
    comma = _ids(tokenizer, ",")
    chunks: list[list[Token]] = [[]]
    names = [] if prompt.is_literal else [name for name, found in embeddings.items() if found.bare]
    for span in (part for whole in prompt.spans for part in _with_names(whole, names)):
        for group in _groups(span, tokenizer, embeddings):
            for token in group if len(group) <= room else group[:room]:
                if len(chunks[-1]) == room:
                    chunks.append(_carried(chunks[-1], comma[-1] if comma else None))
                chunks[-1].append(token)
        if span.breaks and chunks[-1]:
            chunks.append([])
    chunks = [chunk for chunk in chunks if chunk] or [[]]
    return ChunkedPrompt(tuple(tuple(chunk) for chunk in chunks[:most]), len(chunks) > most)


def named_in(text: str, names: Iterable[str]) -> list[tuple[int, int, str]]:
    """Where names stand alone in a text, in upper or lower case: (start, end, name), without overlaps."""
    known = {name.casefold(): name for name in names}
    if not known:
        return []
    longest_first = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
    found = re.finditer(rf"(?<![\w-])(?:{longest_first})(?![\w-])", text, re.IGNORECASE)
    return [(*match.span(), known[match[0].casefold()]) for match in found if match[0].casefold() in known]


def _with_names(span: Span, names: Iterable[str]) -> list[Span]:
    """A piece of text, divided at the names of textual inversions in it."""
    found = [] if span.embedding else named_in(span.text, names)
    if not found:
        return [span]
    parts, end = [], 0
    for start, stop, name in found:
        parts += [replace(span, text=span.text[end:start], breaks=False), Span(name, span.weight, embedding=True)]
        end = stop
    return [part for part in parts if part.text.strip()] + [replace(span, text=span.text[end:])]


def _groups(span: Span, tokenizer: CLIPTokenizer, embeddings: Mapping[str, Embedding]) -> Sequence[list[Token]]:
    if span.embedding:
        found = embeddings.get(span.text)
        if found is None:
            return []
        filler = _ids(tokenizer, ",")[0]
        return [[Token(filler, span.weight, pair) for pair in zip(*found.vectors, strict=True)]]
    return [[Token(identifier, span.weight)] for identifier in _ids(tokenizer, span.text)]


def _ids(tokenizer: CLIPTokenizer, text: str) -> list[int]:
    """The tokens of a text.

    The text of a special token, such as `<|endoftext|>`, is read as ordinary text. Otherwise a prompt could end itself
    in the middle, and the content confidence would be measured there.
    """
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False).input_ids


def _carried(chunk: list[Token], comma: int | None) -> list[Token]:
    """Take what follows the last comma out of a full chunk, if the comma is near its end."""
    places = [place for place, token in enumerate(chunk) if token.id == comma and token.vector is None]
    if not places or len(chunk) - 1 - places[-1] > _LOOK_BACK or places[-1] == len(chunk) - 1:
        return []
    carried = chunk[places[-1] + 1 :]
    del chunk[places[-1] + 1 :]
    return carried
