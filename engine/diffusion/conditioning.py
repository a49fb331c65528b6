"""Prompts into what the UNet reads: SDXL's two text encoders side by side, and where the end-of-text token stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.offloading import Component


@dataclass(frozen=True)
class Conditioning:
    """What the UNet is told, one row a prompt.

    Attributes:
        embeddings: (rows, tokens, channels), the penultimate hidden states of both encoders.
        pooled: (rows, channels), the second encoder's projection.
        end_of_text: (rows,) int64, the index of the first end-of-text token.
    """

    embeddings: Tensor
    pooled: Tensor
    end_of_text: Tensor

    def __getitem__(self, rows: slice | list[int]) -> Conditioning:
        return Conditioning(self.embeddings[rows], self.pooled[rows], self.end_of_text[rows])


def encode_prompts(bundle: ModelBundle, prompts: Sequence[str], *, negative: bool = False) -> Conditioning:
    """Encode prompts as `StableDiffusionXLPipeline` does (hidden_states[-2], pooled of the second encoder).

    Prompts longer than the model's token length are cut, as everywhere in SDXL; `truncated_prompts` tells which.

    Args:
        negative: rows of empty prompts become zeros where the model was trained so.
    """
    return bundle.memory.run(lambda: _encode(bundle, prompts, negative), Component.TEXT)


def _encode(bundle: ModelBundle, prompts: Sequence[str], negative: bool) -> Conditioning:
    hidden, pooled, ends = [], None, None
    for tokenizer, encoder in zip(bundle.tokenizers, bundle.text_encoders, strict=True):
        tokens = tokenizer(
            list(prompts),
            padding="max_length",
            max_length=tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        # The first: padding may be the same token. Both tokenizers share their word pieces, so the places agree.
        places = (tokens == tokenizer.eos_token_id).int().argmax(dim=1)
        assert ends is None or torch.equal(places, ends), "the two tokenizers disagree on the prompt's length"
        ends = places
        output = encoder(tokens.to(bundle.device), output_hidden_states=True)
        hidden.append(output.hidden_states[-2])
        pooled = output[0]
    assert pooled is not None and ends is not None
    embeddings = torch.cat(hidden, dim=-1)
    if negative and bundle.zeros_for_empty_prompt:
        empty = torch.tensor([not prompt.strip() for prompt in prompts], device=embeddings.device)
        embeddings = embeddings.masked_fill(empty[:, None, None], 0)
        pooled = pooled.masked_fill(empty[:, None], 0)
    return Conditioning(embeddings, pooled, ends.to(bundle.device))


def truncated_prompts(bundle: ModelBundle, prompts: Sequence[str]) -> tuple[str, ...]:
    """Those prompts of which the model reads only the beginning."""
    tokenizer = bundle.tokenizers[0]
    return tuple(
        prompt for prompt in prompts if len(tokenizer(prompt, verbose=False).input_ids) > tokenizer.model_max_length
    )


def time_ids(bundle: ModelBundle, working: Size, rows: int) -> Tensor:
    """SDXL's size conditioning, (rows, 6): original size, crop, target size, each as (height, width), in pixels.

    All streams say "drawn at this size, uncropped". Models trained at one size only are always told that size.
    """
    height, width = (working.height, working.width) if not bundle.spec.demo else (bundle.spec.native_size,) * 2
    values = [height, width, 0, 0, height, width]
    return torch.tensor([values] * rows, dtype=bundle.dtype, device=bundle.device)
