"""Separable linear filters and dilation on float images, in numpy. `shadow_light` and what it is made of use them."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Plane = NDArray[np.floating]
"""float32 (H, W) or (H, W, C)."""


def area_mean(picture: Plane, rows: int, columns: int) -> Plane:
    """Shrink an image, (H, W, C) -> (rows, columns, C): each output is the mean of the area it covers."""
    return _separable(_mean_matrix(rows, picture.shape[0]), _mean_matrix(columns, picture.shape[1]), picture)


def gaussian_blur(picture: Plane, sigma: float) -> Plane:
    """Blur an image, (H, W) or (H, W, C); `sigma` is a fraction of the longer side. Edges repeat no pixel: weights that
    fall outside the image are left out."""
    rows, columns = picture.shape[:2]
    pixels = sigma * max(rows, columns)
    volume = picture.reshape(rows, columns, -1)
    down, across = _gaussian_matrix(rows, rows, pixels / rows), _gaussian_matrix(columns, columns, pixels / columns)
    return _separable(down, across, volume).reshape(picture.shape)


def enlarge(picture: Plane, rows: int, columns: int) -> Plane:
    """Enlarge a smooth image, (h, w, C) -> (rows, columns, C), with a Gaussian of 0.6 source pixels."""
    height, width = picture.shape[:2]
    down, across = _gaussian_matrix(rows, height, 0.6 / height), _gaussian_matrix(columns, width, 0.6 / width)
    return _separable(down, across, picture)


def dilate(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Grow a mask (H, W) by a square of `radius` pixels on each side."""
    for axis in (0, 1):
        edges = [(radius, radius) if way == axis else (0, 0) for way in (0, 1)]
        mask = sliding_window_view(np.pad(mask, edges), 2 * radius + 1, axis=axis).max(axis=-1)
    return mask


def connected_to(seeds: NDArray[np.bool_], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a mask (H, W) that is connected to seeds inside it, over edges and corners."""
    reached = seeds & mask
    while True:
        further = dilate(reached, 1) & mask
        if np.array_equal(further, reached):
            return reached
        reached = further


def _mean_matrix(outputs: int, inputs: int) -> Plane:
    """(outputs, inputs): row i averages the inputs that output i covers."""
    edges = np.arange(outputs + 1) * (inputs / outputs)
    starts = np.arange(inputs)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return _normalised(np.maximum(overlap, 0))


def _gaussian_matrix(outputs: int, inputs: int, sigma: float) -> Plane:
    """(outputs, inputs): row i is a Gaussian around output i, `sigma` a fraction of the whole length; rows sum to 1."""
    here, there = ((np.arange(count) + 0.5) / count for count in (outputs, inputs))
    return _normalised(np.exp(-((here[:, None] - there) ** 2) / (2 * sigma**2)))


def _normalised(matrix: NDArray[np.float64]) -> Plane:
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def _separable(down: Plane, across: Plane, picture: Plane) -> Plane:
    """Apply a separable linear filter: (h', h), (w', w) on (h, w, C) -> (h', w', C)."""
    return np.einsum("ij,jkc,lk->ilc", down, picture, across, optimize=True)
