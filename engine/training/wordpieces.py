"""The embedded model's word pieces: CLIP's byte-pair encoding, trained on the captions it is shown."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from layerfusion.engine.training.data.triplets import preposition
from layerfusion.engine.training.data.vocabulary import FIRST, NAMELESS, Vocabulary, with_article

PIECES = 1280
"""The most word pieces there can be; the captions need fewer."""

LENGTH = 32
"""Tokens a prompt."""

_END = "</w>"
_BYTES = bytes_to_unicode()


def captions(vocabulary: Vocabulary = FIRST) -> list[str]:
    """Every caption there can be, and every object's name alone."""
    things = [with_article(name) for name in (*vocabulary.names(held_out=True), *NAMELESS)]
    scenes = list(vocabulary.backgrounds)
    whole = [f"{thing} {preposition(scene)} {scene}" for thing, scene in itertools.product(things, scenes)]
    return [*things, *scenes, *whole, "and", "on", "in", "in front of"]


def make_tokenizer(folder: Path, known: Vocabulary = FIRST) -> CLIPTokenizer:
    """Train the word pieces and write them to a folder, in the form CLIPTokenizer reads.

    The same captions give the same pieces in the same order, on every machine: a text encoder is worth nothing with
    token ids in another order.
    """
    letters = sorted(_BYTES.values())
    words = Counter(word for caption in captions(known) for word in re.findall(r"[a-z]+", caption))
    merges = _merges(words, PIECES - 2 * len(letters) - 2)
    pieces = dict.fromkeys([*letters, *(letter + _END for letter in letters), *(a + b for a, b in merges)])
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=LENGTH)
    made.save_pretrained(str(folder))
    return made


def _merges(words: Counter[str], room: int) -> list[tuple[str, str]]:
    """Byte-pair encoding (Sennrich et al. 2016): join the commonest neighbours; equals by alphabet."""
    spelt = {word: (*word[:-1], word[-1] + _END) for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < room:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in spelt.items():
            for pair in itertools.pairwise(pieces):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelt = {word: _joined(pieces, best) for word, pieces in spelt.items()}
    return merges


def _joined(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    joined: list[str] = []
    place = 0
    while place < len(pieces):
        here = pieces[place : place + 2] == pair
        joined.append(pair[0] + pair[1] if here else pieces[place])
        place += 2 if here else 1
    return tuple(joined)


def token_ids(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """(prompts, LENGTH) int64."""
    batch = tokenizer(prompts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt")
    return batch.input_ids


@torch.no_grad()
def with_pieces_of(encoder: nn.Module, old: CLIPTokenizer, new: CLIPTokenizer) -> nn.Module:
    """The same text encoder for other word pieces; a new piece begins as the mean of the old pieces that spell it."""
    values = encoder.config.to_dict() | {  # type: ignore[union-attr]
        "vocab_size": len(new),
        "bos_token_id": new.bos_token_id,
        "eos_token_id": new.eos_token_id,
        "pad_token_id": new.eos_token_id,
    }
    values.pop("dtype", None)
    made = type(encoder)(CLIPTextConfig(**values)).float()  # type: ignore[call-arg]
    before = encoder.get_input_embeddings().weight  # type: ignore[operator]
    name = next(key for key in encoder.state_dict() if key.endswith("token_embedding.weight"))
    rows = torch.empty((len(new), before.shape[1]))
    for piece, index in new.get_vocab().items():
        spelt = old(piece.removesuffix("</w>"), add_special_tokens=False).input_ids
        rows[index] = before[spelt].mean(dim=0) if spelt else before.mean(dim=0)
    for token in ("bos_token_id", "eos_token_id"):
        rows[getattr(new, token)] = before[getattr(old, token)]
    made.load_state_dict(encoder.state_dict() | {name: rows})
    return made
