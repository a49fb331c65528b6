"""Filling in colour under the transparent parts of an image, as in the training of LayerDiffuse's networks."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_RATIO = 1.2
"""Ratio of the sides of one pyramid level to those of the next smaller one."""


def pad_colours(rgba: Tensor) -> Tensor:
    """Fill in colour where an image is transparent, from the visible colours, blurred more with greater distance.

    A pyramid of premultiplied colours is built, each level 1.2 times smaller, until the shorter side is 1 px. Then,
    beginning with the smallest, each level is composited over the enlarged result of the smaller ones. LayerDiffuse's
    published networks were trained with this fill.

    Args:
        rgba: float32 (4, H, W), straight alpha, 0-1.

    Returns:
        float32 (3, H, W), 0-1: the image's own colours where it is opaque, elsewhere mixtures of visible colours; black
        if nothing is visible. Colours under alpha 0 are ignored.
    """
    level = torch.cat([rgba[:3] * rgba[3:], rgba[3:]])
    levels = [level]
    while min(level.shape[1:]) > 1:
        height, width = level.shape[1:]
        rows, columns = _area(height, int(height / _RATIO)), _area(width, int(width / _RATIO))
        level = rows.to(level) @ level @ columns.to(level).T
        levels.append(level)
    total = levels[-1].sum(dim=(1, 2))
    padded = (total[:3] / total[3].clamp_min(1e-8)).view(3, 1, 1)
    for level in reversed(levels):
        padded = F.interpolate(padded.unsqueeze(0), level.shape[1:], mode="bilinear", align_corners=False).squeeze(0)
        padded = level[:3] + padded * (1 - level[3:])
    return padded


@cache
def _area(length: int, target: int) -> Tensor:
    """(target, length) matrix: each target pixel is the mean of the pixels it covers, weighted by the covered fraction.

    `interpolate(mode="area")` uses whole pixels only, which at a ratio of 1.2 would shift edges by up to half a pixel.
    """
    edges = torch.arange(target + 1, dtype=torch.float64) * (length / target)
    pixels = torch.arange(length, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (covered.clamp_min(0) / (length / target)).float()
