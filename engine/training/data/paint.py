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
"""Scenes are drawn at twice the model's resolution and reduced, so that edges are smooth."""

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)


def gradient(stops: Sequence[tuple[float, Colour]], side: int = SIDE) -> Picture:
    """A vertical gradient through (position 0-1, colour) stops."""
    rows = np.linspace(0, 1, side)
    places = [place for place, _ in stops]
    channels = [np.interp(rows, places, [colour[c] for _, colour in stops]) for c in range(3)]
    column = np.stack(channels, axis=-1).astype(np.float32)
    return np.repeat(column[:, None], side, axis=1)


@cache
def _fields(cells: int) -> NDArray[np.floating]:
    """Eight smooth random fields (8, 2 SIDE, 2 SIDE), 0-1, with this many cells a side; crops of them are the noise."""
    rng = np.random.default_rng(cells)
    fields = []
    for _ in range(8):
        coarse = Image.fromarray(rng.random((2 * cells, 2 * cells)).astype(np.float32))
        fields.append(np.asarray(coarse.resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC)))
    return np.clip(np.stack(fields), 0, 1)


def noise(rng: np.random.Generator, cells: int) -> NDArray[np.floating]:
    """Smooth noise (SIDE, SIDE), 0-1."""
    field = _fields(cells)[rng.integers(8)]
    top, left = rng.integers(0, SIDE, 2)
    return field[top : top + SIDE, left : left + SIDE]


def fractal(rng: np.random.Generator, cells: int = 4, octaves: int = 4, falloff: float = 0.55) -> NDArray[np.floating]:
    """Fractal noise (SIDE, SIDE), mean about 0, within -1..1."""
    total, weight, amplitude = np.zeros((SIDE, SIDE), np.float32), 0.0, 1.0
    for octave in range(octaves):
        total += amplitude * (noise(rng, min(cells * 2**octave, 128)) * 2 - 1)
        weight += amplitude
        amplitude *= falloff
    return total / weight


def ridge(rng: np.random.Generator, frequencies: Sequence[int], amplitudes: Sequence[float]) -> NDArray[np.floating]:
    """A random skyline (SIDE,), within about -1..1."""
    x, line = np.linspace(0, 1, SIDE), np.zeros(SIDE)
    for frequency, amplitude in zip(frequencies, amplitudes, strict=True):
        line += amplitude * np.interp(x, np.linspace(0, 1, frequency + 1), rng.uniform(-1, 1, frequency + 1))
    return line.astype(np.float32)


def below(line: NDArray[np.floating] | float) -> NDArray[np.floating]:
    """Coverage (SIDE, SIDE, 1) of what lies under a skyline given in pixels from the top."""
    return np.clip(_ROWS - np.broadcast_to(np.asarray(line, np.float32), (SIDE,))[None] + 0.5, 0, 1)[..., None]


def mix(picture: Picture, over: Picture | NDArray[np.floating], coverage: NDArray[np.floating]) -> Picture:
    """`over` on `picture` where coverage (…, 1) is 1."""
    return (picture * (1 - coverage) + over * coverage).astype(np.float32)


def ground(
    picture: Picture, line: NDArray[np.floating] | float, far: Colour, near: Colour, texture: NDArray[np.floating]
) -> Picture:
    """Fill below a skyline with a colour that runs from far to near; texture (SIDE, SIDE) multiplies by 1 + itself."""
    top = float(np.mean(line))
    depth = np.clip((_ROWS - top) / (SIDE - top + 1), 0, 1)[..., None]
    colour = np.asarray(far, np.float32) * (1 - depth) + np.asarray(near, np.float32) * depth
    return mix(picture, colour * (1 + texture[..., None]), below(line))


def glow(picture: Picture, x: float, y: float, radius: float, colour: Colour, halo: float) -> Picture:
    """A disc with a soft halo, as sun and moon have."""
    distance = np.hypot(_COLUMNS - x, _ROWS - y)
    light = np.maximum(np.clip(1 - distance / (radius + halo), 0, 1) ** 2 * 0.6, np.clip(radius - distance + 0.5, 0, 1))
    return mix(picture, np.asarray(colour, np.float32), light[..., None])


def dots(
    picture: Picture,
    rng: np.random.Generator,
    count: int,
    rows: tuple[int, int],
    colours: Sequence[Colour],
    radii: tuple[float, float],
) -> Picture:
    """Round dots, sparse; the same picture is changed and returned."""
    for _ in range(count):
        radius = rng.uniform(*radii)
        x, y = rng.uniform(2, SIDE - 3), rng.uniform(*rows)
        reach = int(radius + 2)
        x0, x1, y0, y1 = int(x) - reach, int(x) + reach + 1, int(y) - reach, int(y) + reach + 1
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, SIDE), min(y1, SIDE)
        distance = np.hypot(_COLUMNS[y0:y1, x0:x1] - x, _ROWS[y0:y1, x0:x1] - y)
        cover = np.clip(radius - distance + 0.5, 0, 1)[..., None]
        colour = np.asarray(colours[int(rng.integers(len(colours)))], np.float32)
        picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - cover) + colour * cover
    return picture


def perspective(rng: np.random.Generator, horizon: float, across: int, along: int) -> NDArray[np.floating]:
    """Noise lying on the ground (SIDE, SIDE), -1..1: fine and flat at the horizon, coarse in front."""
    depth = np.clip((_ROWS - horizon) / (SIDE - horizon), 0.02, 1)
    field = _fields(16)[rng.integers(8)]
    u = ((_COLUMNS - SIDE / 2) / (0.35 + depth) * across / 4 + rng.integers(4096)).astype(np.int32) % (2 * SIDE)
    v = (np.log(depth) * along * 16 + rng.integers(4096)).astype(np.int32) % (2 * SIDE)
    return field[v, u] * 2 - 1


def ink(colour: Colour) -> tuple[int, int, int]:
    """A colour as Pillow's pencil takes it."""
    red, green, blue = np.clip(np.asarray(colour, np.float32), 0, 255).astype(int)
    return int(red), int(green), int(blue)
