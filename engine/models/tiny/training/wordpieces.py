"""The embedded model's word pieces: CLIP's byte-pair encoding, trained on the captions it is shown."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTokenizer

from engine.models.tiny.training.triplets import preposition
from engine.models.tiny.training.vocabulary import backgrounds, names, with_article

PIECES = 1024
"""The most word pieces there can be; the captions need fewer."""

LENGTH = 32
"""Tokens a prompt."""


def captions() -> list[str]:
    """Every caption there can be, and every object's name alone."""
    things = [with_article(name) for name in names(held_out=True)]
    scenes = list(backgrounds())
    whole = [f"{thing} {preposition(scene)} {scene}" for thing, scene in itertools.product(things, scenes)]
    return [*things, *scenes, *whole, "and", "on", "in", "in front of"]


def train_tokenizer(folder: Path) -> CLIPTokenizer:
    """Train the word pieces and write them to a folder, in the form CLIPTokenizer reads."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    split = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = PIECES - 2 * len(letters) - 2
    trainer = trainers.BpeTrainer(vocab_size=room + 2 * 26, special_tokens=[], end_of_word_suffix="</w>")
    tokenizer.train_from_iterator(captions(), trainer)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    pieces = [*letters, *(letter + "</w>" for letter in letters), *dict.fromkeys(a + b for a, b in merges)]
    pieces = list(dict.fromkeys(pieces))
    vocabulary = {piece: index for index, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=LENGTH)
    made.save_pretrained(str(folder))
    return made


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
    rows[new.bos_token_id], rows[new.eos_token_id] = before[old.bos_token_id], before[old.eos_token_id]
    made.load_state_dict(encoder.state_dict() | {name: rows})
    return made
