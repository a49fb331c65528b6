"""Tiled refinement: for a canvas larger than the model's working size, the enlarged layers are drawn anew in tiles.

Every tile is a small job: all streams start from the enlarged layers with a little noise added (SDEdit: Meng et al.,
arXiv 2108.01073), are coupled by the alpha that is already known, and are denoised. Tiles overlap and are cross-faded.
The noise of all tiles is cut from one noise tensor of the whole picture per stream, so that overlapping tiles agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from layerfusion.engine.diffusion.constraints import Constraints, LatentConstraint
from layerfusion.engine.diffusion.layer_codec import decode_foreground, decode_rgb, encode_rgba
from layerfusion.engine.diffusion.noise import initial_noise
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.models.runtime.loading import ModelBundle
from layerfusion.engine.models.runtime.vae import to_latents

OVERLAP = 0.25
"""The least overlap of neighbouring tiles, as a fraction of a tile's side (our choice)."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture; `left` and `top` are pixels from the picture's top left corner."""

    left: int
    top: int
    size: Size

    @property
    def rows(self) -> slice:
        return slice(self.top, self.top + self.size.height)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.left + self.size.width)


def tiles_over(picture: Size, tile: Size, stride: int) -> list[Tile]:
    """Cover a picture with equal tiles, row by row, at places that are multiples of `stride`.

    Args:
        picture: size in pixels; both sides are multiples of `stride`.
        tile: size in pixels; both sides are multiples of `stride`, at least two strides. A side that is longer than
            the picture's is shortened to it.
        stride: in pixels.
    """
    size = Size(min(tile.width, picture.width), min(tile.height, picture.height))
    return [
        Tile(left, top, size)
        for top in _places(picture.height, size.height, stride)
        for left in _places(picture.width, size.width, stride)
    ]


def _places(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles begin along one side, in pixels: evenly spaced with an overlap of at least `OVERLAP`."""
    room = length - tile
    count = 1 + math.ceil(room / max(stride, tile * (1 - OVERLAP))) if room else 1
    places = [round(i * room / max(count - 1, 1) / stride) * stride for i in range(count)]
    return sorted(set(places))


def fade(size: Size, margin: int) -> NDArray[np.float32]:
    """A tile's weight for cross-fading, (H, W): 1 inside, falling linearly over `margin` px at its edges, never 0."""

    def along(length: int) -> NDArray[np.float32]:
        edge = np.minimum(np.arange(length) + 1, length - np.arange(length)) / (margin + 1)
        return np.minimum(edge, 1).astype(np.float32)

    return along(size.height)[:, None] * along(size.width)[None, :]


class Mosaic:
    """Assembles tiles into one picture; where they overlap, they are cross-faded.

    Args:
        size: the picture's size in pixels.
        channels: number of channels of a tile.
    """

    def __init__(self, size: Size, channels: int) -> None:
        self._sum = np.zeros((size.height, size.width, channels), np.float32)
        self._weight = np.zeros((size.height, size.width, 1), np.float32)

    def add(self, tile: Tile, values: NDArray[np.uint8]) -> None:
        """Add one tile: `values` is uint8 (tile.size.height, tile.size.width, channels)."""
        weight = fade(tile.size, round(OVERLAP * min(tile.size.width, tile.size.height)))[..., None]
        self._sum[tile.rows, tile.columns] += weight * values
        self._weight[tile.rows, tile.columns] += weight

    def picture(self) -> NDArray[np.uint8]:
        """The assembled picture, uint8 (H, W, channels). Tiles must cover every pixel."""
        return np.rint(self._sum / self._weight).astype(np.uint8)


def padded_size(canvas: Size, stride: int) -> Size:
    """The canvas's size with both sides rounded up to multiples of `stride` pixels."""
    return Size(math.ceil(canvas.width / stride) * stride, math.ceil(canvas.height / stride) * stride)


def padded(pixels: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Extend a picture to `size` by repeating its right and lower edge pixels."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, size.height - height), (0, size.width - width), (0, 0)), mode="edge")


DrawTile = Callable[[Size, Tensor, Constraints, dict[int, KnownShape]], Tensor]
"""(size in pixels, noise, constraints, shapes) -> latents (streams, C, h, w): one coupled job from noise to picture."""


class TiledRefinement:
    """The refinement of all layers of one picture.

    Args:
        bundle: the model.
        streams: the rows of the batch.
        pictures: stream -> uint8 (H, W, 4) at canvas size: the enlarged layers, foregrounds with their alpha.
        seeds: one seed per stream.
        held: streams that must not change.
        strength: how much is drawn anew, above 0, up to 1.

    Attributes:
        tiles: the tiles, row by row.
        refined: stream -> uint8 (H, W, 4) at canvas size; filled when all tiles are done. A foreground's alpha is that
            which the decoder gives for each tile alone.
        guides: foreground -> uint8 (H, W, 4) at canvas size: the refined object on plain grey; filled with `refined`.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        streams: Streams,
        pictures: dict[int, Pixels],
        seeds: list[int],
        held: set[int],
        strength: float,
    ) -> None:
        self._bundle, self._streams, self._held, self._strength = bundle, streams, held, strength
        height, width = pictures[0].shape[:2]
        self._canvas = Size(width, height)
        self._size = padded_size(self._canvas, bundle.spec.stride)
        self._pictures = {stream: padded(picture, self._size) for stream, picture in pictures.items()}
        side = bundle.spec.native_size
        self.tiles = tiles_over(self._size, Size(side, side), bundle.spec.stride)
        factor = bundle.latent_factor
        self._noise = initial_noise(
            seeds, bundle.latent_channels, self._size.height // factor, self._size.width // factor
        )
        self.refined: dict[int, Pixels] = {}
        self.guides: dict[int, Pixels] = {}

    def run(self, draw: DrawTile) -> Iterator[int]:
        """Refine all tiles, yielding after each how many are done."""
        drawn = {stream: Mosaic(self._size, 4) for stream in range(self._streams.count)}
        grey = {stream: Mosaic(self._size, 4) for stream in range(self._streams.foregrounds)}
        for done, tile in enumerate(self.tiles, start=1):
            latents = draw(tile.size, self._noise_of(tile), *self._given(tile))
            for stream, mosaic in drawn.items():
                row = latents[stream : stream + 1]
                if stream in grey:
                    pixels, before_grey = decode_foreground(self._bundle, row)
                    grey[stream].add(tile, before_grey)
                else:
                    pixels = decode_rgb(self._bundle, row)
                mosaic.add(tile, pixels)
            yield done
        rows, columns = slice(0, self._canvas.height), slice(0, self._canvas.width)
        self.refined = {stream: mosaic.picture()[rows, columns] for stream, mosaic in drawn.items()}
        self.guides = {stream: mosaic.picture()[rows, columns] for stream, mosaic in grey.items()}

    def _noise_of(self, tile: Tile) -> Tensor:
        factor = self._bundle.latent_factor
        top, left = tile.top // factor, tile.left // factor
        rows = slice(top, top + tile.size.height // factor)
        columns = slice(left, left + tile.size.width // factor)
        return self._noise[:, :, rows, columns].to(self._bundle.device)

    def _given(self, tile: Tile) -> tuple[Constraints, dict[int, KnownShape]]:
        """The constraints and shapes of one tile.

        Every stream is held to its enlarged picture until t = `strength` · T, or to the end if it must not change.
        """
        constraints, shapes = [], {}
        everywhere = torch.ones((1, 1, 1), device=self._bundle.device)
        for stream, picture in self._pictures.items():
            pixels = np.ascontiguousarray(picture[tile.rows, tile.columns])
            unit = torch.from_numpy(pixels).permute(2, 0, 1).float().to(self._bundle.device) / 255
            if stream < self._streams.foregrounds:
                clean = encode_rgba(self._bundle, pixels)
                alpha = F.avg_pool2d(unit[None, 3:], self._bundle.latent_factor).flatten(1)
                shapes[stream] = KnownShape(alpha)
            else:
                clean = to_latents(self._bundle, unit[None, :3] * 2 - 1)
            until = 0.0 if stream in self._held else self._strength
            constraints.append(LatentConstraint(stream, clean[0], everywhere, until))
        return Constraints(tuple(constraints)), shapes
