"""Test-time augmentation of the transparent decoder: the median over eight rotated and mirrored views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Views = Literal[1, 8]
"""Number of views that are decoded: 8 as in LayerDiffuse, or 1, which is eight times cheaper and noisier."""

Decode = Callable[[Tensor, Tensor], Tensor]
"""(rgb (B, 3, H, W), latents (B, 4, h, w)) -> (B, C, H, W)."""


def rotate(image: Tensor, quarter_turns: int, flip: bool) -> Tensor:
    """Mirror left to right if `flip`, then rotate counter-clockwise. (…, H, W) -> (…, H, W) or (…, W, H)."""
    mirrored = image.flip(-1) if flip else image
    return mirrored.rot90(quarter_turns, (-2, -1))


def rotate_back(image: Tensor, quarter_turns: int, flip: bool) -> Tensor:
    """The inverse of `rotate`."""
    upright = image.rot90(-quarter_turns, (-2, -1))
    return upright.flip(-1) if flip else upright


def median_of_views(decode: Decode, rgb: Tensor, latents: Tensor, *, at_once: int) -> Tensor:
    """Decode an image and its mirror image in all four rotations, and take the median of each value.

    Args:
        decode: the transparent decoder.
        rgb: (1, 3, H, W).
        latents: (1, 4, h, w).
        at_once: most views per call of `decode`, 1-8, as memory allows. A call takes at most four views, because views
            rotated by 90 or 270 degrees may have another shape. It changes the result by rounding only.

    Returns:
        float32 (1, C, H, W), 0-1: the fourth smallest of the eight values (the lower of the two middle ones).
    """
    views: list[Tensor] = []
    for first_rotation in (0, 1):
        rotations = [(quarters, flip) for flip in (False, True) for quarters in (first_rotation, first_rotation + 2)]
        for start in range(0, len(rotations), at_once):
            chunk = rotations[start : start + at_once]
            decoded = decode(*(torch.cat([rotate(x, *rotation) for rotation in chunk]) for x in (rgb, latents)))
            unit = decoded.float().clamp(0, 1)
            views += [rotate_back(view, *rotation) for view, rotation in zip(unit, chunk, strict=True)]
    return torch.stack(views).median(dim=0).values.unsqueeze(0)
