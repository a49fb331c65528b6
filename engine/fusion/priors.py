"""The two priors of LayerFusion, read from the foreground stream's attention. Torch only, pure functions.

Structure prior (self-attention): a token of the object attends to few others, a token of the empty backdrop to many.
Content confidence (cross-attention): a token of the object listens to the end-of-text token, which sums up the prompt.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerfusion.engine.options.research import ContentNorm, EndOfText, Heads

_CHUNK = 512
"""Query tokens whose attention rows are held at once: 84 MB at SDXL's 64x64 tokens and 10 heads."""


def participation(query: Tensor, key: Tensor, *, scale: float, heads: Heads = "stat_mean") -> Tensor:
    """Inverse participation ratio of every token's self-attention: over how many tokens it spreads.

    s_i = 1 / Σ_j p_ij², p the attention probabilities: 1 for a token that attends to one other, N for one that attends
    to all alike. (The paper's structure prior; the formula as public re-implementations give it.)

    Args:
        query, key: (B, heads, N, channels).
        scale: of the logits.
        heads: "stat_mean" takes the mean of the heads' ratios, "stat_harmonic" their harmonic mean, "map_mean" the
            ratio of the heads' mean map.

    Returns:
        float32 (B, N), 1 … N.
    """
    parts = []
    for chunk in query.float().split(_CHUNK, dim=2):
        probabilities = (chunk @ key.float().mT * scale).softmax(dim=-1)
        if heads == "map_mean":
            parts.append(1 / probabilities.mean(dim=1).square().sum(dim=-1))
        elif heads == "stat_harmonic":
            parts.append(1 / probabilities.square().sum(dim=-1).mean(dim=1))
        else:
            parts.append((1 / probabilities.square().sum(dim=-1)).mean(dim=1))
    return torch.cat(parts, dim=-1)


def structure_prior(participation: Tensor) -> Tensor:
    """1 - minmax(s): bright where attention is focused, which is on the object. (B, N) -> (B, N), 0-1."""
    return 1 - minmax(participation)


def content_confidence(
    query: Tensor, key: Tensor, token: Tensor, *, scale: float, counted: EndOfText = "first"
) -> Tensor:
    """How much every picture token listens to the end of the prompt, averaged over heads.

    Args:
        query: (B, heads, N, channels).
        key: (B, heads, tokens, channels).
        token: (B,) int64, which prompt token: the first end-of-text.
        scale: of the logits.
        counted: "first": that token alone; "with_padding": it and all after it; "last_word": the one before it.

    Returns:
        float32 (B, N), 0-1.
    """
    logits = query.float() @ key.float().mT * scale
    places = torch.arange(logits.shape[-1], device=token.device).view(1, 1, 1, -1)
    end = token.view(-1, 1, 1, 1)
    if counted == "with_padding":
        columns = places >= end
    else:
        columns = places == (end if counted == "first" else (end - 1).clamp_min(0))
    counted_logits = logits.masked_fill(~columns, -math.inf).logsumexp(dim=-1)
    return (counted_logits - logits.logsumexp(dim=-1)).exp().mean(dim=1)


def normalised(content: Tensor, how: ContentNorm) -> Tensor:
    """Content confidence as the masks take it: min-max, divided by its maximum, or as it is. (B, N) -> (B, N), 0-1."""
    if how == "max":
        return content / content.amax(dim=-1, keepdim=True).clamp_min(torch.finfo(content.dtype).tiny)
    return minmax(content) if how == "minmax" else content


def minmax(values: Tensor) -> Tensor:
    """Stretch each row of (B, N) to 0-1; a constant row becomes 0."""
    low, high = values.amin(dim=-1, keepdim=True), values.amax(dim=-1, keepdim=True)
    span = high - low
    return torch.where(span > 0, (values - low) / span.clamp_min(torch.finfo(values.dtype).tiny), 0.0)


def contrast(values: Tensor, gate: float) -> Tensor:
    """κ: how far a map may be trusted to show an object at all (our choice).

    Min-max makes a mask of anything, noise included; κ = clip((max - min) / (ρ mean), 0, 1) is small where a raw map
    is nearly flat.

    Args:
        values: (B, N), >= 0, before min-max.
        gate: ρ; 0 trusts every map.

    Returns:
        (B, 1), 0-1.
    """
    if gate == 0:
        return torch.ones_like(values[:, :1])
    span = values.amax(dim=-1, keepdim=True) - values.amin(dim=-1, keepdim=True)
    mean = values.mean(dim=-1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    return (span / (gate * mean)).clamp(0, 1)


def token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    """The rows and columns of an attention layer's tokens, given the latents' height and width."""
    ratio = round(math.sqrt(height * width / tokens))
    grid = (-(-height // ratio), -(-width // ratio))
    assert grid[0] * grid[1] == tokens, f"{tokens} tokens do not tile latents of {width}x{height}"
    return grid
