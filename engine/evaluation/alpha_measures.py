"""Measures that compare a generated alpha with that of the sprite that the model was trained on. Pure functions."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from layerfusion.engine.evaluation.measures import correlation
from layerfusion.engine.evaluation.regions import SEEN, Plane


def largest_box(alpha: Plane) -> tuple[int, int, int, int] | None:
    """Box (top, left, bottom, right) of the largest connected component above half the highest alpha.

    Bottom and right are exclusive. None if no alpha is above `SEEN`.
    """
    labels, count = ndimage.label(alpha > 0.5 * alpha.max())  # type: ignore[misc]
    if count == 0 or alpha.max() <= SEEN:
        return None
    sizes = ndimage.sum_labels(np.ones_like(alpha), labels, np.arange(1, count + 1))
    rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return rows.start, columns.start, rows.stop, columns.stop


def stray(alpha: Plane) -> float:
    """Fraction of visible pixels outside the largest component's box, enlarged by 5 % of the frame on each side.

    1 if nothing is visible.
    """
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
    """Mean over the pixels within `width` pixels of the frame's border."""
    inner = np.zeros(plane.shape, bool)
    inner[width:-width, width:-width] = True
    return float(plane[~inner].mean())


def veiled(alpha: Plane) -> bool:
    """Whether more than 2 % of the canvas has an alpha of 1 to 12 of 255, which nobody wants to retouch."""
    return float(((alpha >= 0.5 / 255) & (alpha < 12.5 / 255)).mean()) > 0.02


def aligned(true_alpha: Plane, found: Plane) -> Plane | None:
    """The true alpha on a frame of the found alpha's size, scaled and placed so that both have the same `largest_box`.

    None if nothing is visible in one of them.
    """
    box, own = largest_box(found), largest_box(true_alpha)
    if box is None or own is None:
        return None
    scales = [(box[axis + 2] - box[axis]) / (own[axis + 2] - own[axis]) for axis in (0, 1)]
    height, width = (max(1, round(side * scale)) for side, scale in zip(true_alpha.shape, scales, strict=True))
    picture = Image.fromarray((true_alpha * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BOX)
    top, left = (box[axis] - round(own[axis] * scales[axis]) for axis in (0, 1))
    shown = picture.crop((-left, -top, found.shape[1] - left, found.shape[0] - top))
    return np.asarray(shown, np.float32) / 255


def translucency(true_alpha: Plane, found: Plane) -> tuple[float, float]:
    """Compare a translucent object's alpha with the true alpha, inside the eroded outline.

    Returns:
        The correlation of found and true alpha, NaN if either is constant; and the absolute difference of their means.
        (0, 1) if nothing is visible or the inside has fewer than 16 pixels.
    """
    truth = aligned(true_alpha, found)
    if truth is None:
        return 0.0, 1.0
    inside = np.asarray(ndimage.binary_erosion(truth > 0.05, iterations=3), bool)
    if inside.sum() < 16:
        return 0.0, 1.0
    a, b = found[inside], truth[inside]
    return correlation(a, b), float(abs(a.mean() - b.mean()))
