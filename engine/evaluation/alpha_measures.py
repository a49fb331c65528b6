"""The alpha a model draws, against the sprite it was asked for: arrays in, numbers out."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from layerfusion.engine.evaluation.measures import correlation
from layerfusion.engine.evaluation.regions import SEEN, Plane


def largest_box(alpha: Plane) -> tuple[int, int, int, int] | None:
    """Box (top, left, bottom, right) of the largest connected piece above half the highest alpha; None if empty."""
    labels, count = ndimage.label(alpha > 0.5 * alpha.max())  # type: ignore[misc]
    if count == 0 or alpha.max() <= SEEN:
        return None
    sizes = ndimage.sum_labels(np.ones_like(alpha), labels, np.arange(1, count + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return rows.start, columns.start, rows.stop, columns.stop


def stray(alpha: Plane) -> float:
    """Share of pixels above `SEEN` that lie outside the largest piece's box grown by 5 % of the frame."""
    box = largest_box(alpha)
    if box is None:
        return 1.0
    margin_y, margin_x = (round(0.05 * side) for side in alpha.shape)
    seen = alpha > SEEN
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
        correlation of found and true alpha inside the eroded outline, NaN where either is flat; and the difference of
        their means there.
    """
    truth = aligned(true_alpha, found)
    if truth is None:
        return 0.0, 1.0
    inside = np.asarray(ndimage.binary_erosion(truth > 0.05, iterations=3), bool)
    if inside.sum() < 16:
        return 0.0, 1.0
    a, b = found[inside], truth[inside]
    return correlation(a, b), float(abs(a.mean() - b.mean()))
