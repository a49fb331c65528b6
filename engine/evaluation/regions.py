"""The image regions on which measures are computed: dilated and eroded masks, rings, and the region of a shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""(H, W), True inside the region."""

Plane = NDArray[np.floating]
"""(H, W), usually 0-1."""

SEEN = 0.02
"""Pixels with alpha above this are visible."""

SOLID = 0.5
"""Pixels with alpha above this belong to the object."""

MARGIN = 0.06
"""Distance from an object beyond which it should have no effect, as a fraction of the frame's longer side (our
choice)."""

_SHADOW_REACH = 0.18
"""Distance below and beside an object up to which its shadow may lie, as a fraction of the frame's longer side (our
choice)."""


def grown(mask: Mask, share: float) -> Mask:
    """Dilate a mask by a square whose radius is `share` of the frame's longer side. The outside of the frame counts as
    the nearest border pixel."""
    return _seen_within(mask, _radius(mask, share)) > 0


def shrunk(mask: Mask, share: float) -> Mask:
    """Erode a mask by a square whose radius is `share` of the frame's longer side. The outside of the frame counts as
    the nearest border pixel."""
    radius = _radius(mask, share)
    return _seen_within(mask, radius) == (2 * radius + 1) ** 2


def _radius(mask: Mask, share: float) -> int:
    return round(share * max(mask.shape))


def _seen_within(mask: Mask, radius: int) -> NDArray[np.int32]:
    """The number of true pixels in the square around each pixel, (H, W). The cost does not depend on the radius."""
    counts, side = np.pad(mask, radius, mode="edge").astype(np.int32), 2 * radius + 1
    for axis in (0, 1):
        along = np.moveaxis(counts, axis, 0)
        sums = np.concatenate([np.zeros_like(along[:1]), along.cumsum(0, np.int32)])
        counts = np.moveaxis(sums[side:] - sums[:-side], 0, axis)
    return counts


def box_of(alpha: Plane) -> tuple[int, int, int, int] | None:
    """Bounding box (top, left, bottom, right) of the solid pixels, bottom and right exclusive; None without any."""
    solid = alpha > SOLID
    if not solid.any():
        return None
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def shadow_place(alpha: Plane) -> Mask:
    """The region in which an object may darken the ground: around and below the lower half of its box (our choice).

    Empty if there is no object.
    """
    region = np.zeros(alpha.shape, bool)
    box = box_of(alpha)
    if box is None:
        return region
    top, left, bottom, right = box
    reach = round(_SHADOW_REACH * max(alpha.shape))
    region[(top + bottom) // 2 : bottom + reach, max(0, left - reach) : right + reach] = True
    return region


def undisturbed(alpha: Plane) -> Mask:
    """The region without the object and its shadow; there Blended should equal the Background."""
    return ~(grown(alpha > SEEN, MARGIN) | shadow_place(alpha))


def core(alpha: Plane, share: float = 0.02) -> Mask:
    """The object's inside: its solid pixels, eroded; all its solid pixels if the erosion leaves none."""
    inside = shrunk(alpha > SOLID, share)
    return inside if inside.any() else alpha > SOLID


def beside(alpha: Plane) -> Mask:
    """The reference region without shadow: a ring beside and above the upper half of the object's box, from half the
    margin to twice the margin away from the object."""
    box = box_of(alpha)
    if box is None:
        return np.zeros(alpha.shape, bool)
    top, _, bottom, _ = box
    seen = alpha > SEEN
    ring = grown(seen, 2 * MARGIN) & ~grown(seen, MARGIN / 2)
    ring[(top + bottom) // 2 :] = False
    return ring
