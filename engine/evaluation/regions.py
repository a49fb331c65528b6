"""Where on a picture a measure looks: masks grown and shrunk, rings, and the place of a shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Mask = NDArray[np.bool_]
"""(H, W), True where the region is."""

Plane = NDArray[np.floating]
"""(H, W), mostly 0-1."""

SEEN = 0.02
"""Alpha above this can be seen."""

SOLID = 0.5
"""Alpha above this is the object."""

MARGIN = 0.06
"""How far beside an object nothing of it is expected any more, as a part of the frame's longer side."""

_SHADOW_REACH = 0.18
"""How far below and beside an object its shadow is expected, as a part of the frame's longer side."""


def grown(mask: Mask, share: float) -> Mask:
    """Dilated by a square reaching `share` of the frame's longer side; the frame's border adds nothing."""
    return _filtered(mask, share, ImageFilter.MaxFilter)


def shrunk(mask: Mask, share: float) -> Mask:
    """Eroded by a square reaching `share` of the frame's longer side; the frame's border takes nothing away."""
    return _filtered(mask, share, ImageFilter.MinFilter)


def _filtered(mask: Mask, share: float, kind: type[ImageFilter.MaxFilter] | type[ImageFilter.MinFilter]) -> Mask:
    radius = round(share * max(mask.shape))
    if radius == 0:
        return mask
    padded = np.pad(mask, radius, mode="edge")
    image = Image.fromarray(padded.astype(np.uint8) * 255)
    return np.asarray(image.filter(kind(2 * radius + 1)))[radius:-radius, radius:-radius] > 127


def box_of(alpha: Plane) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of what is solid, bottom and right excluded; None where nothing is."""
    solid = alpha > SOLID
    if not solid.any():
        return None
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def shadow_place(alpha: Plane) -> Mask:
    """Where an object may darken the ground: a fixed ring about its lower half, sideways and below (our choice).

    Empty where there is no object.
    """
    place = np.zeros(alpha.shape, bool)
    box = box_of(alpha)
    if box is None:
        return place
    top, left, bottom, right = box
    reach = round(_SHADOW_REACH * max(alpha.shape))
    place[(top + bottom) // 2 : bottom + reach, max(0, left - reach) : right + reach] = True
    return place


def undisturbed(alpha: Plane) -> Mask:
    """Where neither the object nor its shadow is expected: there Blended should be the Background."""
    return ~(grown(alpha > SEEN, MARGIN) | shadow_place(alpha))


def core(alpha: Plane, share: float = 0.02) -> Mask:
    """The object's inside, away from its edge: alpha above a half, eroded; all that is solid where that leaves none."""
    inside = shrunk(alpha > SOLID, share)
    return inside if inside.any() else alpha > SOLID


def beside(alpha: Plane) -> Mask:
    """The ground truth of "no shadow": a ring of twice the margin beside and above the object's upper half."""
    box = box_of(alpha)
    if box is None:
        return np.zeros(alpha.shape, bool)
    top, _, bottom, _ = box
    seen = alpha > SEEN
    ring = grown(seen, 2 * MARGIN) & ~grown(seen, MARGIN / 2)
    ring[(top + bottom) // 2 :] = False
    return ring
