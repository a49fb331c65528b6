"""Colour under the transparent parts of a picture, as LayerDiffuse's networks were trained to see it."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_RATIO = 1.2
"""From one level of the pyramid to the next."""


def pad_colours(rgba: Tensor) -> Tensor:
    """Fill in colour where a picture is transparent: what is visible, ever more blurred with its distance.

    A pyramid of premultiplied colours, each level 1.2 times smaller, down to one pixel a side; then up again, every
    level laid over what came from below (the fill LayerDiffuse's published networks were trained with).

    Args:
        rgba: float32 (4, H, W), straight alpha, 0-1.

    Returns:
        float32 (3, H, W), 0-1: the picture's own colours where it is opaque, nowhere a colour that is not a mixture of
        visible ones, black if nothing is visible. Colours under alpha 0 take no part.
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
    """(target, length): each target pixel is the mean of those it covers, partly covered ones by their share.

    `interpolate(mode="area")` covers whole pixels only, which at 1.2 would shift edges by up to half a pixel.
    """
    edges = torch.arange(target + 1, dtype=torch.float64) * (length / target)
    pixels = torch.arange(length, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (covered.clamp_min(0) / (length / target)).float()
