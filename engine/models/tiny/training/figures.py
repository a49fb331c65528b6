"""The measures themselves: arrays in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Plane = NDArray[np.floating]

FAINT = 0.02
"""Alpha above this can be seen."""


def auc(scores: Plane, truth: Plane) -> float:
    """Area under the ROC curve of scores against truth > 0.5: the chance that a token of the object scores higher than
    one of the background. NaN where one of the two is missing."""
    inside, outside = scores[truth > 0.5].ravel(), scores[truth <= 0.5].ravel()
    if not len(inside) or not len(outside):
        return float("nan")
    ranks = _ranks(np.concatenate([inside, outside]))
    return float((ranks[: len(inside)].mean() - (len(inside) + 1) / 2) / len(outside))


def _ranks(values: Plane) -> Plane:
    """1-based ranks; equal values share their mean rank."""
    order = np.argsort(values, kind="stable")
    _, first, counts = np.unique(values[order], return_index=True, return_counts=True)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    return ranks


def soft_iou(a: Plane, b: Plane) -> float:
    """Sum of minima over sum of maxima."""
    return float(np.minimum(a, b).sum() / max(np.maximum(a, b).sum(), 1e-9))


def pooled(alpha: Plane, grid: tuple[int, int]) -> Plane:
    """Mean alpha (H, W) of each token's square."""
    rows, columns = alpha.shape[0] // grid[0], alpha.shape[1] // grid[1]
    return alpha[: grid[0] * rows, : grid[1] * columns].reshape(grid[0], rows, grid[1], columns).mean(axis=(1, 3))


def largest_box(alpha: Plane) -> tuple[int, int, int, int] | None:
    """Box (top, left, bottom, right) of the largest connected piece above half the highest alpha; None if empty."""
    labels, count = ndimage.label(alpha > 0.5 * alpha.max())  # type: ignore[misc]
    if count == 0 or alpha.max() <= FAINT:
        return None
    sizes = ndimage.sum_labels(np.ones_like(alpha), labels, np.arange(1, count + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return rows.start, columns.start, rows.stop, columns.stop


def stray(alpha: Plane) -> float:
    """Share of pixels above `FAINT` that lie outside the largest piece's box grown by 5 % of the frame."""
    box = largest_box(alpha)
    if box is None:
        return 1.0
    margin_y, margin_x = (round(0.05 * side) for side in alpha.shape)
    seen = alpha > FAINT
    outside = seen.copy()
    top, left, bottom, right = box
    outside[max(0, top - margin_y) : bottom + margin_y, max(0, left - margin_x) : right + margin_x] = False
    return float(outside.sum() / max(seen.sum(), 1))


def border_mean(plane: Plane, width: int = 3) -> float:
    """Mean of the frame's outermost pixels."""
    inner = np.zeros(plane.shape, bool)
    inner[width:-width, width:-width] = True
    return float(plane[~inner].mean())


def aligned(true_alpha: Plane, found: Plane) -> Plane | None:
    """The true outline laid into the box of what was found, on the found picture's frame; None if nothing was."""
    box = largest_box(found)
    if box is None:
        return None
    top, left, bottom, right = box
    picture = Image.fromarray((true_alpha * 255).astype(np.uint8)).resize(
        (right - left, bottom - top), Image.Resampling.BOX
    )
    placed = np.zeros(found.shape, np.float32)
    placed[top:bottom, left:right] = np.asarray(picture, np.float32) / 255
    return placed


def translucency(true_alpha: Plane, found: Plane) -> tuple[float, float]:
    """How the inside of something one can see through compares with the truth.

    Returns:
        correlation of found and true alpha inside the eroded outline, and the difference of their means there.
    """
    truth = aligned(true_alpha, found)
    if truth is None:
        return 0.0, 1.0
    inside = np.asarray(ndimage.binary_erosion(truth > 0.05, iterations=3), bool)
    if inside.sum() < 16:
        return 0.0, 1.0
    a, b = found[inside], truth[inside]
    return float(np.corrcoef(a, b)[0, 1]), float(abs(a.mean() - b.mean()))
