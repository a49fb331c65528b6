"""The decoder's eight looks at one picture: what it says in most of them is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Views = Literal[1, 8]
"""How often the decoder looks: 8 is LayerDiffuse's own way, 1 is eight times cheaper and noisier."""

Decode = Callable[[Tensor, Tensor], Tensor]
"""(rgb (B, 3, H, W), latents (B, 4, h, w)) -> (B, C, H, W)."""


def turn(picture: Tensor, quarter_turns: int, flip: bool) -> Tensor:
    """Mirror left to right, then turn counter-clockwise. (…, H, W) -> (…, H, W) or (…, W, H)."""
    mirrored = picture.flip(-1) if flip else picture
    return mirrored.rot90(quarter_turns, (-2, -1))


def turn_back(picture: Tensor, quarter_turns: int, flip: bool) -> Tensor:
    """The way back from `turn`."""
    upright = picture.rot90(-quarter_turns, (-2, -1))
    return upright.flip(-1) if flip else upright


def median_of_views(decode: Decode, rgb: Tensor, latents: Tensor, *, at_once: int) -> Tensor:
    """Decode all four quarter turns of a picture and of its mirror image, and take each value's median.

    Args:
        rgb: (1, 3, H, W).
        latents: (1, 4, h, w).
        at_once: views a call, 1-8: what memory allows. Upright and lying views of an oblong picture have different
            shapes and are never in one call. It changes the result by rounding only.

    Returns:
        float32 (1, C, H, W), 0-1: the lower of the two middle values, the fourth smallest of eight.
    """
    seen: list[Tensor] = []
    for lying in (0, 1):
        turns = [(quarters, flip) for flip in (False, True) for quarters in (lying, lying + 2)]
        for start in range(0, len(turns), at_once):
            some = turns[start : start + at_once]
            decoded = decode(*(torch.cat([turn(x, *t) for t in some]) for x in (rgb, latents)))
            unit = decoded.float().clamp(0, 1)
            seen += [turn_back(view, *t) for view, t in zip(unit, some, strict=True)]
    return torch.stack(seen).median(dim=0).values.unsqueeze(0)
