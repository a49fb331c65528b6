"""What LayerFusion does to the activations: tensors in, tensors out. Torch only, pure functions.

    blended:    a_X' = m a_F + (1 - m) a_X             the soft mask (paper Fig. 2)
    foreground: a_F' = h a_X' + (1 - h) a_F            the hard mask
    background: attention shared with the blended stream outside the objects

With several foregrounds the soft masks become weights that sum to one, upper layers first.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.options.fusion import ForegroundUpdate
from layerfusion.engine.options.research import UpdateOrder


def layer_weights(soft: Tensor) -> tuple[Tensor, Tensor]:
    """What the blended stream takes from each foreground, upper layers hiding lower ones, and what it keeps.

    Args:
        soft: (K, N), 0-1, bottom first.

    Returns:
        weights (K, N) and the rest (N,); they sum to one.
    """
    visible = torch.ones_like(soft[0])
    weights = []
    for mask in soft.flip(0):
        weights.append(visible * mask)
        visible = visible * (1 - mask)
    return torch.stack(weights[::-1]), visible


def blend_attention(
    foregrounds: Tensor,
    blended: Tensor,
    soft: Tensor,
    hard: Tensor,
    inner: Tensor | None = None,
    *,
    update: ForegroundUpdate = "hard",
    order: UpdateOrder = "blended_first",
    amodal: bool = True,
) -> tuple[Tensor, Tensor]:
    """Couple the foreground and blended streams at one attention module.

    Args:
        foregrounds: a_F, (K, N, C), bottom first.
        blended: a_X, (N, C).
        soft: (K, N), 0-1.
        hard: (K, N) of 0 and 1.
        inner: (K, N), 0-1, the soft mask of the foregrounds' own update; None is `soft`.
        update: what a foreground becomes where its hard mask is set: m a_F + (1 - m) a_X ("hard") or a_X ("hard_raw");
            the former, but by the soft mask ("soft"); unchanged ("none").
        order: "blended_first": all from the raw activations. "foreground_first": the foregrounds first, from a_X; then
            the blended stream from what they have become.
        amodal: a foreground follows the picture only where nothing lies above it, so that its hidden parts are drawn
            whole.

    Returns:
        a_F' (K, N, C) and a_X' (N, C).
    """
    updated = foregrounds
    if update != "none":
        gate = soft if update == "soft" else hard
        gate = layer_weights(gate)[0] if amodal else gate
        target = blended.expand_as(foregrounds)
        if order == "blended_first" and update != "hard_raw":
            target = torch.lerp(target, foregrounds, (soft if inner is None else inner).unsqueeze(-1))
        updated = torch.where(gate.unsqueeze(-1) > 0, torch.lerp(foregrounds, target, gate.unsqueeze(-1)), foregrounds)
    source = updated if order == "foreground_first" else foregrounds
    weights, rest = layer_weights(soft)
    mixed = (weights.unsqueeze(-1) * source).sum(dim=0) + rest.unsqueeze(-1) * blended
    return updated, mixed


def share_background(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    other_key: Tensor,
    other_value: Tensor,
    background: Tensor,
    *,
    strength: float,
    scale: float,
) -> Tensor:
    """Self-attention over one's own tokens and the other stream's background tokens.

    A background token is there twice, once in each stream. So that doubling it does not starve the object, the own copy
    weighs 1 - λ/2 and the other λ/2, written as a bias on the logits (our choice): streams that are alike change
    nothing, whatever the mask.

    Args:
        query, key, value: this stream's, (B, heads, N, channels).
        other_key, other_value: the other stream's.
        background: (N,) of 0 and 1, the tokens that are shared.
        strength: λ, 0-1, > 0.
        scale: of the logits.

    Returns:
        (B, heads, N, channels).
    """
    never = torch.full_like(background, -math.inf)
    own = background * math.log1p(-strength / 2)
    other = torch.where(background > 0, math.log(strength / 2), never)
    bias = torch.cat([own, other]).to(query.dtype)
    return F.scaled_dot_product_attention(
        query,
        torch.cat([key, other_key], dim=2),
        torch.cat([value, other_value], dim=2),
        attn_mask=bias.view(1, 1, 1, -1).expand(query.shape[0], 1, query.shape[2], -1),
        scale=scale,
    )
