"""Linear maps along the axes of an image, such as resampling and blurring, as products with narrow matrices.

A row of the result depends on a few neighbouring rows of the input, so a block of rows is the product of a small dense
matrix with a slice of the input. A BLAS computes it some ten times as fast as Pillow resamples floats. The products are
kept below the size from which OpenBLAS divides them among threads: the threads would wait for each other, at full
speed, for longer than the product takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]
"""float32 (channels, H, W)."""

_ALONE = 2**18
"""Multiplications up to which OpenBLAS computes a product in the thread that asks for it: 65,536 times its
`GEMM_MULTITHREAD_THRESHOLD`, which is 4."""


@dataclass(frozen=True, eq=False)
class Bands:
    """A linear map along one axis: output i is the sum of `weights[i, j] * input[firsts[i] + j]`.

    Attributes:
        firsts: (outputs,), the first input of each output.
        weights: float32 (outputs, taps); weights of inputs beyond the end are 0.
        inputs: how many inputs there are.
    """

    firsts: NDArray[np.intp]
    weights: NDArray[np.float32]
    inputs: int

    def __len__(self) -> int:
        return len(self.firsts)

    def reach(self, outputs: slice) -> slice:
        """The inputs on which some outputs depend."""
        firsts = self.firsts[outputs]
        return slice(int(firsts[0]), min(int(firsts[-1]) + self.weights.shape[1], self.inputs))

    def matrix(self, outputs: slice) -> NDArray[np.float32]:
        """The part of the map's matrix that belongs to some outputs and to the inputs that they `reach`."""
        key = outputs.start, outputs.stop
        if key not in self._matrices:
            firsts, weights = self.firsts[outputs], self.weights[outputs]
            columns = firsts[:, None] - firsts[0] + np.arange(weights.shape[1])
            matrix = np.zeros((len(firsts), int(columns.max()) + 1), np.float32)
            np.put_along_axis(matrix, columns, weights, axis=1)
            inputs = self.reach(outputs)
            self._matrices[key] = np.ascontiguousarray(matrix[:, : inputs.stop - inputs.start])
        return self._matrices[key]

    @cached_property
    def _matrices(self) -> dict[tuple[int, int], NDArray[np.float32]]:
        """Those that were asked for so far: every strip of an image needs the same ones."""
        return {}

    @cached_property
    def block(self) -> int:
        """How many outputs are best computed at once."""
        taps, step = self.weights.shape[1], self.inputs / len(self)
        sizes = (64, 32, 16, 8)
        return next((size for size in sizes if size * size * (size * step + taps) <= _ALONE), 4)

    def blocks(self, start: int = 0, stop: int | None = None) -> list[slice]:
        """The outputs from `start` to `stop` in blocks; all but the first begin at multiples of `block`."""
        stop = len(self) if stop is None else stop
        edges = [start, *range((start // self.block + 1) * self.block, stop, self.block), stop]
        return [slice(first, end) for first, end in pairwise(edges)] if start < stop else []

    def pieces(self, outputs: slice) -> list[tuple[slice, slice, NDArray[np.float32]]]:
        """Some outputs in blocks: each block, the inputs that it reaches, and its matrix, transposed."""
        key = outputs.start, outputs.stop
        if key not in self._pieces:
            blocks = self.blocks(*key)
            self._pieces[key] = [(block, self.reach(block), self.matrix(block).T) for block in blocks]
        return self._pieces[key]

    @cached_property
    def _pieces(self) -> dict[tuple[int, int], list[tuple[slice, slice, NDArray[np.float32]]]]:
        """Those that were asked for so far: looking each block up again takes as long as small products."""
        return {}


def down(bands: Bands, planes: Planes, outputs: slice) -> Planes:
    """Map columns: (C, inputs, W) -> (C, outputs, W).

    Args:
        planes: the inputs that the outputs `reach`.
        outputs: the rows of the result.
    """
    matrix = bands.matrix(outputs)
    width = planes.shape[2]
    result = np.empty((len(planes), len(matrix), width), np.float32)
    step = max(1, _ALONE // matrix.size)
    for left in range(0, width, step):
        np.matmul(matrix, planes[:, :, left : left + step], out=result[:, :, left : left + step])
    return result


def across(bands: Bands, planes: Planes, outputs: slice, start: int = 0) -> Planes:
    """Map rows: (C, H, W) -> (C, H, outputs).

    Args:
        outputs: the columns of the result.
        start: which input the first column of `planes` is; the columns must include `bands.reach(outputs)`.
    """
    result = np.empty((*planes.shape[:2], outputs.stop - outputs.start), np.float32)
    for block, inputs, matrix in bands.pieces(outputs):
        part = planes[:, :, inputs.start - start : inputs.stop - start]
        target = result[:, :, block.start - outputs.start : block.stop - outputs.start]
        step = max(1, _ALONE // matrix.size)
        for top in range(0, part.shape[1], step):
            np.matmul(part[:, top : top + step], matrix, out=target[:, top : top + step])
    return result


def whole(vertical: Bands, horizontal: Bands, planes: Planes) -> Planes:
    """Map columns and rows of an image: (C, h, w) -> (C, H, W)."""
    result = np.empty((len(planes), len(vertical), len(horizontal)), np.float32)
    everything = slice(0, len(horizontal))
    for rows in vertical.blocks():
        result[:, rows] = across(horizontal, down(vertical, planes[:, vertical.reach(rows)], rows), everything)
    return result


def lanczos(inputs: int, outputs: int, low: float = 0.0, high: float | None = None) -> Bands:
    """Resampling with a Lanczos kernel (a = 3), as Pillow computes it: widened when shrinking, to avoid aliasing.

    Args:
        low, high: the part of the inputs that becomes the outputs, as positions of pixel edges; all by default.
    """
    return _resampling(lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0), 3, inputs, outputs, low, high)


def bilinear(inputs: int, outputs: int, low: float = 0.0, high: float | None = None) -> Bands:
    """Resampling with a triangle, as Pillow computes it. Arguments: see `lanczos`."""
    return _resampling(lambda x: np.maximum(1 - np.abs(x), 0), 1, inputs, outputs, low, high)


def area(inputs: int, outputs: int) -> Bands:
    """Shrinking: each output is the mean of the inputs that it covers, parts of inputs included."""
    edges = np.arange(outputs + 1) * (inputs / outputs)
    firsts = np.floor(edges[:-1]).astype(np.intp)
    places = firsts[:, None] + np.arange(math.ceil(inputs / outputs) + 1)
    covered = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return _bands(firsts, np.maximum(covered, 0), inputs)


def gaussian(inputs: int, outputs: int, sigma: float) -> Bands:
    """A Gaussian around each output's place among the inputs, cut off at five standard deviations.

    Args:
        sigma: the standard deviation, in inputs.
    """
    centres = (np.arange(outputs) + 0.5) * (inputs / outputs)
    reach = math.ceil(5 * sigma)
    firsts = np.floor(centres).astype(np.intp) - reach
    places = firsts[:, None] + np.arange(2 * reach + 1)
    return _bands(firsts, np.exp(-((places + 0.5 - centres[:, None]) ** 2) / (2 * sigma**2)), inputs)


def _resampling(
    kernel: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    support: float,
    inputs: int,
    outputs: int,
    low: float,
    high: float | None,
) -> Bands:
    scale = ((inputs if high is None else high) - low) / outputs
    wide = max(scale, 1.0)
    centres = low + (np.arange(outputs) + 0.5) * scale
    firsts = np.floor(centres - support * wide + 0.5).astype(np.intp)
    lasts = np.floor(centres + support * wide + 0.5).astype(np.intp)
    places = firsts[:, None] + np.arange(int((lasts - firsts).max()))
    weights = kernel((places + 0.5 - centres[:, None]) / wide)
    return _bands(firsts, np.where(places < lasts[:, None], weights, 0), inputs)


def _bands(firsts: NDArray[np.intp], weights: NDArray[np.float64], inputs: int) -> Bands:
    """Leave out weights that fall outside the image, and let the others of each output sum to 1."""
    places = firsts[:, None] + np.arange(weights.shape[1])
    weights = np.where((places >= 0) & (places < inputs), weights, 0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    shift = np.clip(-firsts, 0, weights.shape[1] - 1)  # begin inside the image
    order = np.minimum(np.arange(weights.shape[1]) + shift[:, None], weights.shape[1] - 1)
    moved = np.take_along_axis(weights, order, axis=1)
    moved[np.arange(weights.shape[1]) + shift[:, None] >= weights.shape[1]] = 0
    return Bands(np.maximum(firsts, 0), moved.astype(np.float32), inputs)
