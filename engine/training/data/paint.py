"""Brushes for drawn scenes: gradients, fractal noise, ridges, glows. Pictures are float arrays (H, W, 3), 0-255."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.floating]
Colour = Sequence[float] | NDArray[np.floating]

SIDE = 256
"""Shorter side of what is drawn, in pixels: that of the largest pictures a model is trained on. Smaller ones are
reduced from it, so that edges are smooth."""

LONGEST = 2 * SIDE
"""The longer side is at most this."""


@cache
def _fields(cells: int) -> NDArray[np.floating]:
    """Eight smooth random fields (8, LONGEST, LONGEST), 0-1, with this many cells to `SIDE`; crops of them are the
    noise."""
    rng = np.random.default_rng(cells)
    fields = []
    for _ in range(8):
        coarse = Image.fromarray(rng.random((2 * cells, 2 * cells)).astype(np.float32))
        fields.append(np.asarray(coarse.resize((LONGEST, LONGEST), Image.Resampling.BICUBIC)))
    return np.clip(np.stack(fields), 0, 1)


def mix(picture: Picture, over: Picture | NDArray[np.floating], coverage: NDArray[np.floating]) -> Picture:
    """`over` on `picture` where coverage (…, 1) is 1."""
    return (picture * (1 - coverage) + over * coverage).astype(np.float32)


def gradient(stops: Sequence[tuple[float, Colour]], height: int, width: int) -> Picture:
    """A vertical gradient through (position 0-1, colour) stops."""
    rows = np.linspace(0, 1, height)
    places = [place for place, _ in stops]
    channels = [np.interp(rows, places, [colour[c] for _, colour in stops]) for c in range(3)]
    column = np.stack(channels, axis=-1).astype(np.float32)
    return np.repeat(column[:, None], width, axis=1)


def ink(colour: Colour) -> tuple[int, int, int]:
    """A colour as Pillow's pencil takes it."""
    red, green, blue = np.clip(np.asarray(colour, np.float32), 0, 255).astype(int)
    return int(red), int(green), int(blue)


class Canvas:
    """What the brushes paint on. Things keep their size in pixels: on a wider one there are more of them, not wider
    ones.

    Args:
        rng: decides everything.
        width, height: in pixels; the shorter is `SIDE`, the longer at most `LONGEST`.

    Attributes:
        rows, columns: float32 (H, 1) and (1, W), where pixels are.
        breadths: how many times `SIDE` it is wide.
    """

    def __init__(self, rng: np.random.Generator, width: int = SIDE, height: int = SIDE) -> None:
        self.rng, self.width, self.height = rng, width, height
        self.rows = np.arange(height, dtype=np.float32)[:, None]
        self.columns = np.arange(width, dtype=np.float32)[None]
        self.breadths = width / SIDE

    def many(self, count: float) -> int:
        """How many things there are on all of this canvas, where there are so many on a square one."""
        return round(count * self.width * self.height / SIDE**2)

    def gradient(self, stops: Sequence[tuple[float, Colour]]) -> Picture:
        """A vertical gradient through (position 0-1, colour) stops."""
        return gradient(stops, self.height, self.width)

    def noise(self, cells: int) -> NDArray[np.floating]:
        """Smooth noise (H, W), 0-1, with this many cells to `SIDE`."""
        field = _fields(cells)[self.rng.integers(8)]
        if self.rng.random() < 0.5:
            field = field[:, ::-1]
        top = int(self.rng.integers(0, LONGEST - self.height + 1))
        left = int(self.rng.integers(0, LONGEST - self.width + 1))
        return field[top : top + self.height, left : left + self.width]

    def fractal(self, cells: int = 4, octaves: int = 4, falloff: float = 0.55) -> NDArray[np.floating]:
        """Fractal noise (H, W), mean about 0, within -1..1."""
        total, weight, amplitude = np.zeros((self.height, self.width), np.float32), 0.0, 1.0
        for octave in range(octaves):
            total += amplitude * (self.noise(min(cells * 2**octave, 128)) * 2 - 1)
            weight += amplitude
            amplitude *= falloff
        return total / weight

    def ridge(self, frequencies: Sequence[int], amplitudes: Sequence[float]) -> NDArray[np.floating]:
        """A random skyline (W,), within about -1..1, with so many turns to `SIDE`."""
        x, line = np.linspace(0, 1, self.width), np.zeros(self.width)
        for frequency, amplitude in zip(frequencies, amplitudes, strict=True):
            turns = round(frequency * self.breadths)
            line += amplitude * np.interp(x, np.linspace(0, 1, turns + 1), self.rng.uniform(-1, 1, turns + 1))
        return line.astype(np.float32)

    def below(self, line: NDArray[np.floating] | float) -> NDArray[np.floating]:
        """Coverage (H, W, 1) of what lies under a skyline given in pixels from the top."""
        skyline = np.broadcast_to(np.asarray(line, np.float32), (self.width,))
        return np.clip(self.rows - skyline[None] + 0.5, 0, 1)[..., None]

    def ground(
        self,
        picture: Picture,
        line: NDArray[np.floating] | float,
        far: Colour,
        near: Colour,
        texture: NDArray[np.floating] | float,
    ) -> Picture:
        """Fill below a skyline with a colour that runs from far to near; texture (H, W) multiplies by 1 + itself."""
        top = float(np.mean(line))
        depth = np.clip((self.rows - top) / (self.height - top + 1), 0, 1)[..., None]
        colour = np.asarray(far, np.float32) * (1 - depth) + np.asarray(near, np.float32) * depth
        return mix(picture, colour * (1 + np.asarray(texture)[..., None]), self.below(line))

    def glow(self, picture: Picture, x: float, y: float, radius: float, colour: Colour, halo: float) -> Picture:
        """A disc with a soft halo, as sun and moon have."""
        distance = np.hypot(self.columns - x, self.rows - y)
        light = np.clip(1 - distance / (radius + halo), 0, 1) ** 2 * 0.6
        light = np.maximum(light, np.clip(radius - distance + 0.5, 0, 1))
        return mix(picture, np.asarray(colour, np.float32), light[..., None])

    def dots(
        self,
        picture: Picture,
        count: int,
        rows: tuple[int, int],
        colours: Sequence[Colour],
        radii: tuple[float, float],
    ) -> Picture:
        """Round dots, sparse; the same picture is changed and returned."""
        for _ in range(count):
            radius = self.rng.uniform(*radii)
            x, y = self.rng.uniform(2, self.width - 3), self.rng.uniform(*rows)
            reach = int(radius + 2)
            x0, x1 = max(int(x) - reach, 0), min(int(x) + reach + 1, self.width)
            y0, y1 = max(int(y) - reach, 0), min(int(y) + reach + 1, self.height)
            distance = np.hypot(self.columns[:, x0:x1] - x, self.rows[y0:y1] - y)
            cover = np.clip(radius - distance + 0.5, 0, 1)[..., None]
            colour = np.asarray(colours[int(self.rng.integers(len(colours)))], np.float32)
            picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - cover) + colour * cover
        return picture

    def perspective(self, horizon: float, across: int, along: int) -> NDArray[np.floating]:
        """Noise lying on the ground (H, W), -1..1: fine and flat at the horizon, coarse in front."""
        depth = np.clip((self.rows - horizon) / (self.height - horizon), 0.02, 1)
        field = _fields(16)[self.rng.integers(8)]
        sideways = (self.columns - self.width / 2) / (0.35 + depth) * across / 4
        u = (sideways + self.rng.integers(4096)).astype(np.int32) % LONGEST
        v = (np.log(depth) * along * 16 + self.rng.integers(4096)).astype(np.int32) % LONGEST
        return field[v, u] * 2 - 1
