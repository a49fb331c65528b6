"""SDXL's tokenizers, built without a download from CLIP's byte-pair merges, which are part of the package."""

from __future__ import annotations

import gzip
from pathlib import Path

from transformers import CLIPTokenizer

from layerfusion.engine.models.catalog.model_files import reading

MERGES = Path(__file__).parents[1] / "sdxl" / "merges.txt.gz"
"""CLIP's 48,894 byte-pair merges (MIT licence, Copyright (c) 2021 OpenAI), one per line."""

LENGTH = 77
"""Tokens per prompt."""

START, END = "<|startoftext|>", "<|endoftext|>"


def read_tokenizer(folder: Path) -> CLIPTokenizer:
    """Read the tokenizer from a model's folder in diffusers layout.

    Raises:
        BrokenModel: it is missing or cannot be read.
    """
    return reading(folder, lambda: CLIPTokenizer.from_pretrained(str(folder), local_files_only=True))


def sdxl_tokenizers() -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """Build the tokenizers of SDXL's two text encoders; they differ only in the padding token."""
    with gzip.open(MERGES, "rt", encoding="utf-8") as stream:
        merges = stream.read().splitlines()
    letters = _byte_letters()
    ending = [f"{letter}</w>" for letter in letters]
    words = [*letters, *ending, *(merge.replace(" ", "") for merge in merges), START, END]
    vocabulary = {word: index for index, word in enumerate(words)}
    first, second = (
        CLIPTokenizer(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges], pad_token=pad)  # type: ignore[arg-type]
        for pad in (END, "!")
    )
    first.model_max_length = second.model_max_length = LENGTH
    return first, second


def _byte_letters() -> list[str]:
    """The 256 letters that stand for bytes in byte-level BPE: visible characters first, then substitutes from U+0100
    for the bytes that are not visible, in the order of the vocabulary."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) for byte in visible] + [chr(256 + index) for index in range(len(hidden))]
