"""How the streams exchange activations: pure functions of tensors, without diffusers.

    blended:    a_X' = m a_F + (1 - m) a_X             the soft mask (paper Fig. 2c)
    foreground: a_F' = h a_X' + (1 - h) a_F            the hard mask
    background: attention shared with the blended stream outside the objects

Figure 2c can also be read with the streams exchanged (`mixture` = "blended"): both take a = m a_X + (1 - m) a_F, each
inside the object only: a_X' = h a + (1 - h) a_X and a_F' = h a + (1 - h) a_F.

With several foregrounds the weights in the blended stream sum to one; upper layers hide lower ones.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.options.fusion import ForegroundUpdate
from layerfusion.engine.options.research import Mixture, UpdateOrder


def layer_weights(soft: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of the foregrounds in the blended stream; upper layers hide lower ones.

    Args:
        soft: soft masks, (K, N), 0-1, bottom first.

    Returns:
        the foregrounds' weights, (K, N), and the blended stream's own weight, (N,). They sum to one.
    """
    if len(soft) == 1:
        return soft, 1 - soft[0]
    visible = torch.ones_like(soft[0])
    weights = []
    for mask in soft.flip(0):
        weights.append(visible * mask)
        visible = visible * (1 - mask)
    return torch.stack(weights[::-1]), visible


def mixture_weights(
    soft: Tensor, hard: Tensor, held: Tensor | None = None, mixture: Mixture = "foreground"
) -> tuple[Tensor, Tensor]:
    """The weights of all streams in the blended stream, for both readings of Fig. 2c.

    Args:
        soft, hard, held: those of `masks.Masks`, bottom first; None: no foreground is held.
        mixture: the stream that the soft mask multiplies. "foreground": a foreground's weight is m. "blended": it is
            h (1 - m), and the foreground hides lower ones by h. For a held foreground it is its alpha in both readings.

    Returns:
        the foregrounds' weights, (K, N), and the blended stream's own weight, (N,). They sum to one.
    """
    if mixture == "foreground":
        return layer_weights(soft)
    held = torch.zeros_like(soft[:, :1], dtype=torch.bool) if held is None else held
    shown, _ = layer_weights(torch.where(held, soft, hard))
    weights = shown * torch.where(held, 1.0, 1 - soft)
    return weights, 1 - weights.sum(dim=0)


def blend_attention(
    foregrounds: Tensor,
    blended: Tensor,
    soft: Tensor,
    hard: Tensor,
    inner: Tensor | None = None,
    held: Tensor | None = None,
    *,
    mixture: Mixture = "foreground",
    update: ForegroundUpdate = "hard",
    order: UpdateOrder = "blended_first",
    amodal: bool = True,
) -> tuple[Tensor, Tensor]:
    """Couple the foreground and blended streams at one attention module.

    Args:
        foregrounds: a_F, (K, N, C), bottom first.
        blended: a_X, (N, C).
        soft, hard, inner, held: those of `masks.Masks`; without `inner`, it is `soft`; without `held`, none is.
        mixture: the stream that the soft mask multiplies: the mixture is m a_F + (1 - m) a_X, or m a_X + (1 - m) a_F.
        update: "hard": a foreground takes as much of the mixture as its hard mask says. "hard_raw": it takes a_X
            instead. "soft": as "hard", but weighted by the soft mask instead of the hard one. "none": it is unchanged.
        order: "blended_first": both are computed from the original activations. "foreground_first": the foregrounds
            are computed first, from a_X; then the blended stream is computed from the updated foregrounds.
        amodal: whether a foreground is updated only where no other lies above it, so that its hidden parts are drawn
            complete.

    Returns:
        a_F' (K, N, C) and a_X' (N, C).
    """
    updated = foregrounds
    if update != "none":
        gate = soft if update == "soft" else hard
        gate = layer_weights(gate)[0] if amodal else gate
        target = blended.expand_as(foregrounds)
        if order == "blended_first" and update != "hard_raw":
            kept = soft if inner is None else inner
            target = torch.lerp(target, foregrounds, (kept if mixture == "foreground" else 1 - kept).unsqueeze(-1))
        updated = torch.where(gate.unsqueeze(-1) > 0, torch.lerp(foregrounds, target, gate.unsqueeze(-1)), foregrounds)
    source = updated if order == "foreground_first" else foregrounds
    weights, rest = mixture_weights(soft, hard, held, mixture)
    mixed = (weights.unsqueeze(-1) * source).sum(dim=0) + rest.unsqueeze(-1) * blended
    return updated, mixed


def share_background(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    other_key: Tensor,
    other_value: Tensor,
    shared: Tensor,
    *,
    strength: float,
    scale: float,
) -> Tensor:
    """Self-attention of a stream over its own tokens and the other stream's background tokens.

    Every background token occurs twice, once in each stream. Counting it fully twice would take attention away from
    the object, so the stream's own copy gets the weight 1 - λ/2 and the other copy λ/2, as a bias on the logits (our
    choice). If both streams are equal, the result is that of plain self-attention, whatever the mask.

    Args:
        query, key, value: those of this stream, (B, heads, N, channels).
        other_key, other_value: those of the other stream, the same shape.
        shared: the indices of the background tokens, int64. The other stream's other tokens are left out.
        strength: λ, above 0, up to 1.
        scale: factor of the logits.

    Returns:
        (B, heads, N, channels).
    """
    own = torch.zeros(key.shape[2], device=key.device).index_fill(0, shared, math.log1p(-strength / 2))
    other = torch.full((len(shared),), math.log(strength / 2), device=key.device)
    bias = torch.cat([own, other]).to(query.dtype)
    return F.scaled_dot_product_attention(
        query,
        torch.cat([key, other_key[:, :, shared]], dim=2),
        torch.cat([value, other_value[:, :, shared]], dim=2),
        attn_mask=bias.view(1, 1, 1, -1).expand(query.shape[0], 1, query.shape[2], -1),
        scale=scale,
    )
