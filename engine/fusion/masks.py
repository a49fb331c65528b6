"""From priors to masks on any token grid: pure functions of tensors, without diffusers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.fusion.priors import minmax
from layerfusion.engine.options.research import MaskParts, Resampling

Grid = tuple[int, int]
"""(rows, columns) of tokens."""

_SHARING_THRESHOLD = 0.25
SHARING_MARGIN = 0.06


@dataclass(frozen=True)
class Masks:
    """The masks of K foregrounds on one token grid.

    Attributes:
        soft: (K, N), 0-1: how much the blended stream takes from each foreground.
        hard: (K, N) of 0 and 1: where each foreground takes from the blended stream.
        inner: (K, N), 0-1: how much of its own activation a foreground keeps there. It equals `soft` unless the option
            `foreground_boundary` is set.
    """

    soft: Tensor
    hard: Tensor
    inner: Tensor


def evidence(structure: Tensor, content: Tensor, parts: MaskParts = "product", weight: float = 1.0) -> Tensor:
    """u = minmax(s c^γ), the evidence of both priors; or minmax of one prior alone.

    Args:
        structure: s, (K, N), 0-1.
        content: c, (K, N), 0-1.
        parts: which priors are used.
        weight: γ, the weight of the content confidence; the paper's is 1.

    Returns:
        (K, N), 0-1.
    """
    content = content if weight == 1 else content**weight
    return minmax({"product": structure * content, "structure": structure, "content": content}[parts])


def soft_mask(evidence: Tensor, boundary: float, trust: Tensor | float = 1.0, centre: Tensor | float = 0.5) -> Tensor:
    """m = κ sigmoid(d (u - τ)) + (1 - κ) sigmoid(-d τ): the less the maps are trusted, the closer m is to "no object".

    Args:
        evidence: u, (K, N), 0-1.
        boundary: d, the decision boundary coefficient, > 0.
        trust: κ, a number or (K, 1), 0-1.
        centre: τ, a number or (K, 1), 0-1; the paper's is 1/2.

    Returns:
        (K, N), within [sigmoid(-d τ), sigmoid(d (1 - τ))].
    """
    floor = _boundary_at(0.0, boundary, centre, evidence)
    return trust * torch.sigmoid(boundary * (evidence - centre)) + (1 - trust) * floor


def hard_mask(evidence: Tensor, trust: Tensor | float = 1.0, threshold: Tensor | float = 0.5) -> Tensor:
    """1 where u > threshold and the maps can be trusted (κ > 1/2), else 0.

    u > 1/2 selects the same tokens as the paper's m > 1/2, for any d.

    Args:
        evidence: u, (K, N), 0-1.
        trust: κ, a number or (K, 1), 0-1.
        threshold: a number or (K, 1), 0-1.

    Returns:
        (K, N) of 0 and 1.
    """
    return ((evidence > threshold) & (torch.as_tensor(trust, device=evidence.device) > 0.5)).to(evidence.dtype)


def otsu_threshold(evidence: Tensor, bins: int = 64) -> Tensor:
    """Otsu's threshold (1979) of each map: it minimises the variance within two classes.

    Args:
        evidence: (K, N), 0-1.
        bins: number of histogram bins; thresholds are multiples of 1 / bins. Equally good ones are averaged.

    Returns:
        (K, 1), 0-1.
    """
    edges = torch.arange(1, bins, device=evidence.device, dtype=evidence.dtype) / bins
    above = (evidence.unsqueeze(-1) > edges).to(evidence.dtype)  # (K, N, bins - 1)
    share = above.mean(dim=1)
    mean_above = (above * evidence.unsqueeze(-1)).mean(dim=1) / share.clamp_min(1e-6)
    mean_below = ((1 - above) * evidence.unsqueeze(-1)).mean(dim=1) / (1 - share).clamp_min(1e-6)
    between = share * (1 - share) * (mean_above - mean_below).square()
    best = (between >= between.amax(dim=1, keepdim=True) * (1 - 1e-6)).to(evidence.dtype)  # many across an empty gap
    return (best * edges).sum(dim=1, keepdim=True) / best.sum(dim=1, keepdim=True)


def stretch(soft: Tensor, boundary: float, centre: Tensor | float = 0.5) -> Tensor:
    """m̂: the soft mask stretched to the full range 0-1 (our choice).

    Without it, the small values of m outside many foregrounds add up and weaken the blended stream's own background.
    """
    low, high = (_boundary_at(u, boundary, centre, soft) for u in (0.0, 1.0))
    return ((soft - low) / (high - low)).clamp(0, 1)


def background_tokens(evidence: Tensor, grid: Grid, margin: float = SHARING_MARGIN) -> Tensor:
    """Tokens that are clearly outside every object (our choice).

    The content map is often hollow, so that u > 1/2 does not cover the whole object. Therefore every token that cannot
    be reached from the picture's border counts as object, and a margin is added around it.

    Args:
        evidence: (K, N), 0-1; above 1/4 it counts as object.
        grid: (rows, columns) of tokens.
        margin: width of the margin as a fraction of the grid's longer side.

    Returns:
        (N,) of 0 and 1.
    """
    objects = (evidence.amax(dim=0).view(1, 1, *grid) > _SHARING_THRESHOLD).float()
    outside = _reachable_from_border(1 - objects)
    return 1 - dilate(1 - outside, max(1, round(margin * max(grid)))).flatten()


def ground_tokens(evidence: Tensor, grid: Grid, reach: float) -> Tensor:
    """Where objects may cast a shadow (our choice): a rectangle around the lower half of each object's bounding box.

    Args:
        evidence: (K, N), 0-1.
        grid: (rows, columns) of tokens.
        reach: how far the rectangle extends to the left, to the right and downwards, as a fraction of the grid's longer
            side.

    Returns:
        (N,) of 0 and 1.
    """
    place, tokens = torch.zeros(grid, device=evidence.device), round(reach * max(grid))
    for one in evidence.split(1):
        inside = background_tokens(one, grid, margin=0).view(grid) == 0
        if bool(inside.any()):
            rows, columns = (torch.nonzero(inside.any(dim=axis)).flatten().tolist() for axis in (1, 0))
            left = max(0, columns[0] - tokens)
            place[(rows[0] + rows[-1]) // 2 : rows[-1] + 1 + tokens, left : columns[-1] + 1 + tokens] = 1
    return place.flatten()


def dilate(mask: Tensor, radius: int) -> Tensor:
    """Grow a (B, 1, h, w) mask by `radius` tokens, in a square."""
    return F.max_pool2d(mask, 2 * radius + 1, stride=1, padding=radius)


def resample(maps: Tensor, source: Grid, target: Grid, how: Resampling = "area") -> Tensor:
    """Resample (K, N) maps from one token grid to another.

    Args:
        how: "area" takes area means when reducing and is bilinear when enlarging; "bilinear" and "nearest" do the same
            in both directions.
    """
    if source == target:
        return maps
    pictures = maps.unflatten(-1, source).unsqueeze(1)
    if how == "nearest":
        resized = F.interpolate(pictures, target, mode="nearest-exact")
    elif how == "area" and target[0] <= source[0] and target[1] <= source[1]:
        resized = F.interpolate(pictures, target, mode="area")
    else:
        resized = F.interpolate(pictures, target, mode="bilinear", align_corners=False)
    return resized.squeeze(1).flatten(1)


def _reachable_from_border(free: Tensor) -> Tensor:
    """Those of the free tokens, (1, 1, h, w), that a path of free neighbours (4 directions) connects to the border."""
    reached = torch.zeros_like(free)
    reached[..., 0, :], reached[..., -1, :] = free[..., 0, :], free[..., -1, :]
    reached[..., :, 0], reached[..., :, -1] = free[..., :, 0], free[..., :, -1]
    while True:
        grown = torch.maximum(
            F.max_pool2d(reached, (3, 1), stride=1, padding=(1, 0)),
            F.max_pool2d(reached, (1, 3), stride=1, padding=(0, 1)),
        )
        grown = grown * free
        if torch.equal(grown, reached):
            return reached
        reached = grown


def _boundary_at(u: float, boundary: float, centre: Tensor | float, like: Tensor) -> Tensor:
    """The soft mask's value m at the evidence u; shape () or (K, 1)."""
    return torch.sigmoid(boundary * (u - torch.as_tensor(centre, dtype=like.dtype, device=like.device)))
