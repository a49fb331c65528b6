"""The picture of a thing that the model has drawn from nothing, laid into the outline in which it was drawn.

Nobody knows the alpha of a whole drawing. But of what our own code draws the model knows one picture each, so what it
meant is that picture, where and as wide as it drew it. Our choice.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage  # of the extra `train`

Plane = NDArray[np.floating]

SEEN = 0.25
"""Share of the highest alpha from which on a pixel belongs to the outline."""

PARTS = 0.04
"""Pieces smaller than this share of the largest are specks."""

ALIKE = 0.88
"""Share of the union of both outlines that must lie in both, else what was drawn is something else."""

STRETCHED = 1.5
"""How far from its proportions a thing is drawn at most."""

WAVERING = 0.06
"""Waves of a drawn outline shorter than about this share of its height are no part of the shape."""

BENT = 0.04
"""How far an outline may leave a straight line between the picture's and its own, in widths of what was drawn."""

FRAYS = 4
"""Half the width of what is too thin to be of an outline, in pixels."""


def fitted(picture: NDArray[np.uint8], drawn: Plane) -> Plane | None:
    """Lay a picture into a drawn outline: box into box, then row by row after the left and the right edge.

    Args:
        picture: straight RGBA, uint8 (h, w, 4).
        drawn: alpha of what was drawn (H, W), 0-1.

    Returns:
        straight RGBA (H, W, 4), 0-1; None if the outlines are too unlike.
    """
    found = _outline(drawn)
    rgba = picture.astype(np.float64) / 255
    own = _outline(rgba[..., 3])
    if found is None or own is None:
        return None
    (top, first, bottom, last), (own_top, own_first, own_bottom, own_last) = _box(found), _box(own)
    rows, columns = np.mgrid[0 : drawn.shape[0], 0 : drawn.shape[1]].astype(np.float64)
    at = own_top + (rows[:, 0] + 0.5 - top) * (own_bottom - own_top) / (bottom - top) - 0.5
    higher, wider = (bottom - top) / (own_bottom - own_top), (last - first) / (own_last - own_first)
    if not 1 / STRETCHED <= higher / wider <= STRETCHED:
        return None
    own_edges = [np.interp(at, np.arange(len(own)), edge) for edge in _edges(own)]
    edges = []
    for edge, own_edge in zip(_edges(found), own_edges, strict=True):
        straight = first + (own_edge - own_first) * wider
        off = np.where((rows[:, 0] >= top) & (rows[:, 0] < bottom), edge - straight, 0)[top:bottom]
        edges.append(straight + np.interp(rows[:, 0], np.arange(top, bottom), _calm(off, BENT * (last - first))))
    left, right = edges[0], np.maximum(edges[1], edges[0] + 1)
    stretch = ((own_edges[1] - own_edges[0]) / (right - left))[:, None]
    across = own_edges[0][:, None] + (columns - left[:, None]) * stretch
    places = np.stack([np.broadcast_to(at[:, None], across.shape), across])
    premultiplied = np.dstack([rgba[..., :3] * rgba[..., 3:], rgba[..., 3]])
    laid = np.dstack(
        [
            ndimage.map_coordinates(premultiplied[..., i], places, order=1, cval=0.0, mode="grid-constant")
            for i in range(4)
        ]
    )
    shape = _outline(laid[..., 3])
    if shape is None or (shape & found).sum() < ALIKE * (shape | found).sum():
        return None
    laid[..., :3] /= np.maximum(laid[..., 3:], 1e-3)
    return laid.clip(0, 1).astype(np.float32)


def _outline(alpha: Plane) -> NDArray[np.bool_] | None:
    """What is seen, without specks and hairs, and what lies between its parts in a row or in a column: an outline may
    be torn where a thing is clearest. None if nothing is seen."""
    if alpha.max() < 0.1:
        return None
    labels, _ = cast(Any, ndimage.label(ndimage.binary_opening(alpha > SEEN * alpha.max())))
    sizes = np.bincount(labels.ravel())[1:]
    if not len(sizes):
        return None
    seen = np.isin(labels, 1 + np.flatnonzero(sizes >= PARTS * sizes.max()))
    whole = ndimage.binary_opening(_spanned(_spanned(seen).T).T, iterations=FRAYS)
    labels, count = cast(Any, ndimage.label(whole))
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])), bool) if count else None


def _spanned(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With all that lies between the first and the last of a row."""
    onwards, back = np.maximum.accumulate(seen, axis=1), np.maximum.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return onwards & back


def _calm(off: Plane, bound: float) -> Plane:
    """How far an edge is off, row by row (n,), without short waves and no further than so from most rows' line."""
    places = np.arange(len(off))
    line = np.full(len(off), np.median(off))
    for _ in range(4):
        near = np.abs(off - line) <= 1.5 * np.median(np.abs(off - line)) + 0.5
        line = np.polyval(np.polyfit(places[near], off[near], 1), places)
    wave = (ndimage.median_filter(off, 9, mode="nearest") - line).clip(-bound, bound)
    return line + ndimage.gaussian_filter1d(wave, WAVERING * len(off), mode="constant")


def _box(outline: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, left, bottom, right; the last two exclusive."""
    rows, columns = np.flatnonzero(outline.any(axis=1)), np.flatnonzero(outline.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _edges(outline: NDArray[np.bool_]) -> tuple[Plane, Plane]:
    """Where an outline begins and ends in each row; beyond its ends as at them. Both (H,), in pixels."""
    rows = np.flatnonzero(outline.any(axis=1))
    part = outline[rows]
    begins, ends = part.argmax(axis=1), part.shape[1] - part[:, ::-1].argmax(axis=1)
    begins, ends = (np.interp(np.arange(len(outline)), rows, edge) for edge in (begins, ends))
    return begins, ends
