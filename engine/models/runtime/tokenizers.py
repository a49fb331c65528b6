"""SDXL's tokenizers without a download: CLIP's word pieces come with the package."""

from __future__ import annotations

import gzip
from pathlib import Path

from transformers import CLIPTokenizer

from layerfusion.engine.models.catalog.model_files import reading

MERGES = Path(__file__).parents[1] / "sdxl" / "merges.txt.gz"
"""CLIP's 48,894 merges (MIT licence, Copyright (c) 2021 OpenAI), one a line."""

LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"


def read_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in a folder of a model in diffusers layout.

    Raises:
        BrokenModel: it cannot be read.
    """
    return reading(folder, lambda: CLIPTokenizer.from_pretrained(str(folder), local_files_only=True))


def sdxl_tokenizers() -> tuple[CLIPTokenizer, CLIPTokenizer]:
    """Those of the two text encoders; they differ in the token that fills a short prompt up."""
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
    """One visible letter for each of the 256 bytes, as byte-level BPE writes them: itself where it is visible."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) for byte in visible] + [chr(256 + place) for place in range(len(hidden))]
