"""Encoding chunks of tokens with SDXL's two text encoders.

A weight moves an encoded token along the line from the encoding of the empty prompt: z = z_0 + w (z_p - z_0), as in
ComfyUI, and as compel does for weights of 1 and more. The pooled encoding is that of the first chunk, without weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.prompt_chunks import ChunkedPrompt, Token


def encode_chunks(bundle: ModelBundle, prompts: Sequence[ChunkedPrompt]) -> tuple[Tensor, Tensor, Tensor]:
    """Encode prompts.

    Prompts with fewer chunks than others are repeated until all have the same length. A repetition changes nothing in
    cross-attention, because every token of the picture then attends to each copy by half.

    Returns:
        embeddings (prompts, tokens, channels), pooled (prompts, channels), and the places of the ends of all chunks,
        int64 (prompts, chunks).
    """
    chunks = [chunk for prompt in prompts for chunk in prompt.chunks]
    hidden, pooled = _encode(bundle, chunks)
    weights = torch.tensor([_weights(chunk, hidden.shape[1]) for chunk in chunks], dtype=torch.float32)
    if bool((weights != 1).any()):
        nothing, _ = _encode(bundle, [()])
        weights = weights.to(hidden.device)[..., None]
        weighted = (nothing.float() + weights * (hidden.float() - nothing.float())).to(hidden.dtype)
        hidden = torch.where(weights == 1, hidden, weighted)
    count = math.lcm(*(len(prompt.chunks) for prompt in prompts))
    rows, firsts, ends = [], [], []
    for prompt, start in zip(prompts, _starts(prompts), strict=True):
        own = len(prompt.chunks)
        rows.append(torch.cat(list(hidden[start : start + own])).repeat(count // own, 1))
        firsts.append(pooled[start])
        places = [len(chunk) + 1 for chunk in prompt.chunks] * (count // own)
        ends.append([index * hidden.shape[1] + place for index, place in enumerate(places)])
    return torch.stack(rows), torch.stack(firsts), torch.tensor(ends, device=hidden.device)


def _starts(prompts: Sequence[ChunkedPrompt]) -> list[int]:
    starts = [0]
    for prompt in prompts:
        starts.append(starts[-1] + len(prompt.chunks))
    return starts[:-1]


def _weights(chunk: Sequence[Token], length: int) -> list[float]:
    """One weight per place; 1 for start, end and padding."""
    weights = [1.0, *(token.weight for token in chunk)]
    return weights + [1.0] * (length - len(weights))


def _encode(bundle: ModelBundle, chunks: Sequence[Sequence[Token]]) -> tuple[Tensor, Tensor]:
    """The penultimate hidden states of both encoders, joined by channel; and the second encoder's pooled states."""
    hidden, pooled = [], None
    for index, (tokenizer, encoder) in enumerate(zip(bundle.tokenizers, bundle.text_encoders, strict=True)):
        tokens = torch.tensor([padded(tokenizer, chunk) for chunk in chunks])
        vectors = {
            (row, place): token.vector[index]
            for row, chunk in enumerate(chunks)
            for place, token in enumerate(chunk, start=1)
            if token.vector is not None
        }
        with _replaced(encoder.get_input_embeddings(), vectors):
            output = encoder(tokens.to(bundle.device), output_hidden_states=True)
        hidden.append(output.hidden_states[-2])
        pooled = output[0]
    assert pooled is not None
    return torch.cat(hidden, dim=-1), pooled


def padded(tokenizer: CLIPTokenizer, chunk: Sequence[Token]) -> list[int]:
    """The tokens of a chunk with start, end and padding, as many as the tokenizer's length."""
    start, end, pad = (int(getattr(tokenizer, f"{name}_token_id")) for name in ("bos", "eos", "pad"))
    tokens = [start, *(token.id for token in chunk), end]
    return tokens + [pad] * (tokenizer.model_max_length - len(tokens))


@contextmanager
def _replaced(table: nn.Module, vectors: dict[tuple[int, int], Tensor]) -> Iterator[None]:
    """Inside the block, the embedding table gives other vectors at some (row, place)."""
    if not vectors:
        yield
        return

    def replace(_module: nn.Module, _arguments: Any, output: Tensor) -> Tensor:
        changed = output.clone()
        for (row, place), vector in vectors.items():
            changed[row, place] = vector.to(changed)
        return changed

    handle = table.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()
