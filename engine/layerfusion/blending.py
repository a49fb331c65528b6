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


def blend_attention(foregrounds: Tensor, blended: Tensor, soft: Tensor, hard: Tensor | None) -> tuple[Tensor, Tensor]:
    """Couple the foreground and blended streams at one attention module.

    Args:
        foregrounds: a_F, (K, N, C), bottom first.
        blended: a_X, (N, C).
        soft: (K, N), 0-1.
        hard: (K, N) of 0 and 1; None leaves the foregrounds alone. Hidden parts of a foreground follow the picture only
            where nothing lies above, so that they are drawn whole.

    Returns:
        a_F' (K, N, C) and a_X' (N, C).
    """
    weights, rest = layer_weights(soft)
    mixed = (weights.unsqueeze(-1) * foregrounds).sum(dim=0) + rest.unsqueeze(-1) * blended
    if hard is None:
        return foregrounds, mixed
    on_top, _ = layer_weights(hard)
    own = torch.lerp(blended.expand_as(foregrounds), foregrounds, soft.unsqueeze(-1))
    return torch.where(on_top.unsqueeze(-1) > 0, own, foregrounds), mixed


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
