"""From priors to masks on any token grid: pure functions of tensors, without diffusers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from layerfusion.engine.fusion.priors import scaled
from layerfusion.engine.options.research import MaskParts, Resampling

Grid = tuple[int, int]
"""(rows, columns) of tokens."""

_SHARING_THRESHOLD = 0.25
SHARING_MARGIN = 0.06


@dataclass(frozen=True)
class Masks:
    """The masks of K foregrounds on one token grid.

    Attributes:
        soft: m (K, N), 0-1: the weight of one of the two streams in the mixture of a foreground and the blended stream.
        hard: h (K, N), 0-1: how much of the mixture each foreground takes; 0 for foregrounds that are held.
        inner: (K, N), 0-1: the weight in the mixture that the foregrounds take. It equals `soft` unless the option
            `foreground_boundary` is set.
        held: (K, 1) of bool: whether a foreground follows given pixels. Its soft mask is its alpha.
    """

    soft: Tensor
    hard: Tensor
    inner: Tensor
    held: Tensor


def evidence(
    structure: Tensor,
    content: Tensor,
    parts: MaskParts = "product",
    weight: float = 1.0,
    among: Tensor | None = None,
) -> Tensor:
    """u = s c^γ scaled to the maximum 1, the evidence of both priors; or one prior alone, scaled likewise.

    With γ = 1 this is the soft mask that the paper prints.

    Args:
        structure: s, (K, N), 0-1.
        content: c, (K, N), 0-1.
        parts: which priors are used.
        weight: γ, the weight of the content confidence; the paper's is 1.
        among: the tokens that give the maximum, (N,) of bool; None takes all.

    Returns:
        (K, N), 0-1.
    """
    content = content if weight == 1 else content**weight
    return scaled({"product": structure * content, "structure": structure, "content": content}[parts], among)


def decision(evidence: Tensor, boundary: float, trust: Tensor | float = 1.0, centre: Tensor | float = 0.5) -> Tensor:
    """κ sigmoid(d (u - τ)) + (1 - κ) sigmoid(-d τ): the less the maps are trusted, the closer it is to "no object".

    Args:
        evidence: u, (K, N), 0-1.
        boundary: d, the decision boundary coefficient, > 0.
        trust: κ, a number or (K, 1), 0-1.
        centre: τ, a number or (K, 1), 0-1.

    Returns:
        (K, N), within [sigmoid(-d τ), sigmoid(d (1 - τ))].
    """
    floor = _boundary_at(0.0, boundary, centre, evidence)
    return trust * torch.sigmoid(boundary * (evidence - centre)) + (1 - trust) * floor


def hard_mask(
    evidence: Tensor, boundary: float, trust: Tensor | float = 1.0, threshold: Tensor | float = 0.5
) -> Tensor:
    """h = sigmoid(d (u - τ)) where the maps can be trusted (κ > 1/2), else 0.

    With τ = 1/2 this is the hard mask that the paper prints. It is not binary.

    Args:
        evidence: u, (K, N), 0-1.
        boundary: d, the decision boundary coefficient, > 0; infinity makes h a step.
        trust: κ, a number or (K, 1), 0-1.
        threshold: τ, a number or (K, 1), 0-1; the paper's is 1/2. A step is 0 at τ itself.

    Returns:
        (K, N), 0-1.
    """
    inside = torch.sigmoid(boundary * (evidence - threshold)) if boundary < math.inf else evidence > threshold
    return inside.to(evidence.dtype) * (torch.as_tensor(trust, device=evidence.device) > 0.5)


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


def stretch(mask: Tensor, boundary: float, centre: Tensor | float = 0.5) -> Tensor:
    """A mask that is sigmoid(d (u - τ)), stretched to the full range 0-1 (our choice).

    Without it, the small values outside many foregrounds add up and weaken the blended stream's own background.
    """
    low, high = (_boundary_at(u, boundary, centre, mask) for u in (0.0, 1.0))
    return ((mask - low) / (high - low)).clamp(0, 1)


def inner_tokens(grid: Grid, margin: float, device: torch.device | str = "cpu") -> Tensor | None:
    """The tokens that are not at the picture's border, (N,) of bool; None if all are.

    Args:
        grid: (rows, columns) of tokens.
        margin: width of the border as a fraction of the grid's longer side, rounded to whole tokens.
    """
    width = _border_width(grid, margin)
    if width == 0:
        return None
    inner = torch.zeros(grid, dtype=torch.bool, device=device)
    inner[width:-width, width:-width] = True
    return inner.flatten()


def without_lone_border(maps: Tensor, grid: Grid, margin: float) -> Tensor:
    """Lower every token at the picture's border to the highest of the inner tokens near it (our choice).

    The structure prior lights up along the picture's border. A border token is object only if its neighbours are.

    Args:
        maps: (K, N), 0-1.
        grid: (rows, columns) of tokens.
        margin: that of `inner_tokens`. “Near” is at most that many tokens away, in a square.
    """
    inner = inner_tokens(grid, margin, maps.device)
    if inner is None:
        return maps
    near = dilate((maps * inner).unflatten(-1, grid).unsqueeze(1), _border_width(grid, margin)).flatten(1)
    return torch.where(inner, maps, torch.minimum(maps, near))


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


def _border_width(grid: Grid, margin: float) -> int:
    """Whole tokens; 0 on grids that are too small to have an inside."""
    width = round(margin * max(grid))
    return width if 4 * width <= min(grid) else 0


def _boundary_at(u: float, boundary: float, centre: Tensor | float, like: Tensor) -> Tensor:
    """The value of sigmoid(d (u - τ)) at one u; shape () or (K, 1)."""
    return torch.sigmoid(boundary * (u - torch.as_tensor(centre, dtype=like.dtype, device=like.device)))
