"""The two priors of LayerFusion, measured in the foreground stream's attention: pure functions of tensors.

Structure prior (self-attention): a token of the object attends to few other tokens, a token of the empty backdrop to
many. Content confidence (cross-attention): a token of the object attends strongly to the end-of-text token, which
summarises the prompt.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from layerfusion.engine.options.research import ContentNorm, EndOfText, Heads

_CHUNK = 512
"""Number of query tokens whose attention rows are in memory at a time: 84 MB for SDXL's 64x64 tokens and 10 heads."""


def participation(query: Tensor, key: Tensor, *, scale: float, heads: Heads = "stat_mean") -> Tensor:
    """Participation ratio of every token's self-attention: the effective number of tokens it attends to.

    s_i = 1 / Σ_j p_ij², where p are the attention probabilities: 1 for a token that attends to a single token, N for
    one that attends equally to all. (This is the paper's structure prior, with the formula of public
    re-implementations.)

    Args:
        query, key: (B, heads, N, channels).
        scale: factor of the logits.
        heads: "stat_mean" takes the mean of the heads' ratios, "stat_harmonic" their harmonic mean, "map_mean" the
            ratio of the attention map averaged over heads.

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


def structure_prior(participation: Tensor, among: Tensor | None = None) -> Tensor:
    """1 - minmax(s), high where attention is focused, that is, on the object: (B, N), 1 … N, to (B, N), 0-1.

    Args:
        participation: (B, N), 1 … N.
        among: the tokens that give minimum and maximum, (N,) of bool; None takes all.
    """
    return 1 - minmax(participation, among)


def content_confidence(
    query: Tensor, key: Tensor, token: Tensor, *, scale: float, counted: EndOfText = "first"
) -> Tensor:
    """The attention of every picture token to the end of the prompt, averaged over heads.

    Args:
        query: (B, heads, N, channels).
        key: (B, heads, tokens, channels).
        token: (B,) int64, the index of each prompt's first end-of-text token; or (B, chunks) of prompts that consist of
            chunks of equal length, each with an end of its own: then the attention to all ends is summed.
        scale: factor of the logits.
        counted: which attention counts: "first", that to this token; "with_padding", the sum over it and all tokens
            after it; "last_word", that to the token before it.

    Returns:
        float32 (B, N), 0-1.
    """
    logits = query.float() @ key.float().mT * scale
    places = torch.arange(logits.shape[-1], device=token.device).view(1, 1, 1, -1)
    ends = token.reshape(len(token), -1, 1, 1, 1)
    if counted == "with_padding":
        length = logits.shape[-1] // ends.shape[1]
        columns = (places >= ends) & (places < (ends // length + 1) * length)
    else:
        columns = places == (ends if counted == "first" else (ends - 1).clamp_min(0))
    columns = columns.any(dim=1)
    counted_logits = logits.masked_fill(~columns, -math.inf).logsumexp(dim=-1)
    return (counted_logits - logits.logsumexp(dim=-1)).exp().mean(dim=1)


def normalised(content: Tensor, how: ContentNorm, among: Tensor | None = None) -> Tensor:
    """Normalise content confidence by min-max, by its maximum or not at all: (B, N), 0-1, to (B, N), 0-1.

    `among` is that of `structure_prior`.
    """
    if how == "max":
        return scaled(content, among)
    return minmax(content, among) if how == "minmax" else content


def minmax(values: Tensor, among: Tensor | None = None) -> Tensor:
    """Stretch each row of (B, N) to 0-1; a constant row becomes 0.

    `among` is that of `structure_prior`; other tokens outside minimum and maximum become 0 and 1.
    """
    low, high = _range(values, among)
    span = high - low
    stretched = torch.where(span > 0, (values - low) / span.clamp_min(torch.finfo(values.dtype).tiny), 0.0)
    return stretched if among is None else stretched.clamp(0, 1)


def scaled(values: Tensor, among: Tensor | None = None) -> Tensor:
    """Scale each row of (B, N), >= 0, to the maximum 1; a row of zeros stays.

    `among` is that of `structure_prior`; other tokens above the maximum become 1.
    """
    _, highest = _range(values, among)
    divided = values / highest.clamp_min(torch.finfo(values.dtype).tiny)
    return divided if among is None else divided.clamp(max=1)


def _range(values: Tensor, among: Tensor | None) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value of each row among some tokens, (B, 1) each."""
    if among is None:
        return values.amin(dim=-1, keepdim=True), values.amax(dim=-1, keepdim=True)
    return (
        values.masked_fill(~among, math.inf).amin(dim=-1, keepdim=True),
        values.masked_fill(~among, -math.inf).amax(dim=-1, keepdim=True),
    )


def contrast(values: Tensor, gate: float, among: Tensor | None = None) -> Tensor:
    """κ: how much a map can be trusted to show an object (our choice).

    Min-max makes a mask of any map, even of noise. κ = clip((max - min) / (ρ mean), 0, 1) is small if the raw map is
    nearly flat.

    Args:
        values: the raw maps, (B, N), >= 0, before min-max.
        gate: ρ, >= 0; 0 trusts every map.
        among: that of `structure_prior`, for minimum and maximum.

    Returns:
        (B, 1), 0-1.
    """
    if gate == 0:
        return torch.ones_like(values[:, :1])
    low, high = _range(values, among)
    mean = values.mean(dim=-1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    return ((high - low) / (gate * mean)).clamp(0, 1)


def token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    """The rows and columns of an attention layer's tokens, given the latents' height and width."""
    ratio = round(math.sqrt(height * width / tokens))
    grid = (-(-height // ratio), -(-width // ratio))
    assert grid[0] * grid[1] == tokens, f"{tokens} tokens do not tile latents of {width}x{height}."
    return grid
