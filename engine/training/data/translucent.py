"""Things one can see through, drawn by our own code: colour and true partial alpha, uint8 RGBA, straight alpha.

Emoji glass is painted opaque; a transparent generator must learn that a bottle lets the scene through.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 256
"""Width and height of the square each thing is drawn in."""

_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
_U = (_X + 0.5) / SIDE * 2 - 1  # -1 left … 1 right
_V = (_Y + 0.5) / SIDE  # 0 top … 1 bottom

Plane = NDArray[np.floating]


@cache
def draw(name: str) -> Image.Image:
    """One translucent thing, cropped to where its alpha exceeds 12 of 255.

    Args:
        name: one of `vocabulary.TRANSLUCENT`.
    """
    makers = {
        "glass of water": _tumbler,
        "green bottle": lambda: _bottle((38, 150, 78)),
        "blue bottle": lambda: _bottle((44, 104, 214)),
        "soap bubble": _bubble,
        "smoke": _smoke,
    }
    colour, alpha = makers[name]()
    rgba = np.dstack([colour.clip(0, 255), alpha.clip(0, 1)[..., None] * 255]).round().astype(np.uint8)
    picture = Image.fromarray(rgba, "RGBA")
    return picture.crop(picture.getchannel("A").point([255 * (value > 12) for value in range(256)]).getbbox())


def _inside(radius: Plane) -> tuple[Plane, Plane]:
    """Coverage of a body of revolution with this half-width (1 = half the square), and where across it a pixel is."""
    across = _U / np.maximum(radius, 1e-3)
    cover = np.clip((radius - np.abs(_U)) * SIDE / 2 + 0.5, 0, 1) * (radius > 0)
    return cover, np.clip(np.abs(across), 0, 1)


def _paint(colour: Plane, alpha: Plane, over: tuple[float, ...], strength: Plane) -> tuple[Plane, Plane]:
    """A stroke of colour and opacity on a straight-alpha picture."""
    strength = strength.clip(0, 1)
    result = strength + alpha * (1 - strength)
    weight = np.divide(strength, result, out=np.zeros_like(result), where=result > 0)[..., None]
    return colour * (1 - weight) + np.asarray(over, np.float32) * weight, result


def _canvas(colour: tuple[float, float, float]) -> Plane:
    return np.broadcast_to(np.asarray(colour, np.float32), (SIDE, SIDE, 3)).copy()


def _ellipse(x: float, y: float, wide: float, high: float, width: float) -> Plane:
    """A ring: 1 on an ellipse about (x, y), falling off over `width`, all in the units of U and V."""
    distance = np.hypot((_U - x) / wide, (_V - y) / high)
    return np.exp(-(((distance - 1) / width) ** 2))


def _rim(radius: Plane, cover: Plane) -> Plane:
    """Where one looks along the wall of a hollow body: a line inside its outline, four pixels wide."""
    inwards = (radius - np.abs(_U)) * SIDE / 2
    return cover * np.exp(-(((inwards - 2.5) / 2.2) ** 2))


def _tumbler() -> tuple[Plane, Plane]:
    radius = np.where((_V > 0.06) & (_V < 0.96), 0.56 - 0.14 * _V, 0).astype(np.float32)
    cover, across = _inside(radius)
    alpha = cover * (0.16 + 0.2 * across**5)
    colour = _canvas((222, 238, 246))
    water = cover * np.clip((_V - 0.34) * 40, 0, 1)
    colour, alpha = _paint(colour, alpha, (96, 178, 232), water * (0.40 + 0.15 * across**2))
    colour, alpha = _paint(colour, alpha, (232, 248, 255), cover * 0.75 * _ellipse(0, 0.35, 0.50, 0.035, 0.22))
    colour, alpha = _paint(colour, alpha, (240, 248, 252), cover * np.clip((_V - 0.9) * 30, 0, 1) * 0.55)
    shine = np.exp(-(((_U + 0.30) / 0.045) ** 2)) * np.clip((_V - 0.14) * 12, 0, 1) * np.clip((0.84 - _V) * 12, 0, 1)
    colour, alpha = _paint(colour, alpha, (255, 255, 255), cover * 0.8 * shine)
    colour, alpha = _paint(colour, alpha, (196, 218, 230), 0.9 * _rim(radius, cover))
    return _paint(colour, alpha, (246, 252, 255), 0.9 * _ellipse(0, 0.075, 0.55, 0.042, 0.1))


def _bottle(tint: tuple[float, float, float]) -> tuple[Plane, Plane]:
    shoulder = np.clip((_V - 0.27) / 0.16, 0, 1)
    radius = 0.17 + (0.46 - 0.17) * (shoulder * shoulder * (3 - 2 * shoulder))
    radius = np.where((_V > 0.03) & (_V < 0.97), radius, 0)
    foot = np.clip((_V - 0.91) / 0.06, 0, 1)
    radius = np.where(radius > 0, radius - 0.06 * foot**2, 0).astype(np.float32)
    cover, across = _inside(radius)
    colour = _canvas(tint) * (1.12 - 0.55 * across**3)[..., None]
    alpha = cover * (0.42 + 0.2 * across**4)
    colour, alpha = _paint(colour, alpha, tuple(0.5 * c for c in tint), 0.85 * _rim(radius, cover))
    colour, alpha = _paint(colour, alpha, tuple(0.45 * c for c in tint), cover * 0.7 * np.clip((_V - 0.9) * 18, 0, 1))
    lip = cover * ((_V > 0.03) & (_V < 0.10))
    colour, alpha = _paint(colour, alpha, tuple(0.7 * c for c in tint), 0.7 * lip)
    side = np.exp(-(((_U + 0.5 * radius) / 0.035) ** 2))
    shine = side * np.clip((_V - 0.40) * 14, 0, 1) * np.clip((0.86 - _V) * 14, 0, 1)
    return _paint(colour, alpha, (255, 255, 255), cover * 0.75 * shine)


def _bubble() -> tuple[Plane, Plane]:
    distance = np.hypot(_U, (_V - 0.5) * 2) / 0.92
    cover = np.clip((1 - distance) * SIDE / 2.2 + 0.5, 0, 1)
    angle = np.arctan2((_V - 0.5) * 2, _U)
    hue = np.stack([np.cos(angle + turn + 2.2 * distance) for turn in (0.0, 2.1, 4.2)], axis=-1)
    colour = (190 + 65 * hue).astype(np.float32)
    rim = np.clip(distance, 0, 1)
    alpha = cover * (0.12 + 0.22 * rim**2 + 0.50 * rim**9)
    spot = np.exp(-((np.hypot((_U + 0.38) / 1.5, (_V - 0.27) * 2) / 0.10) ** 2))
    colour, alpha = _paint(colour, alpha, (255, 255, 255), cover * 0.9 * spot)
    low = np.exp(-((np.hypot((_U - 0.42) / 1.3, (_V - 0.76) * 2) / 0.06) ** 2))
    return _paint(colour, alpha, (255, 255, 255), cover * 0.6 * low)


def _smoke() -> tuple[Plane, Plane]:
    rng = np.random.default_rng(7)
    body = np.zeros((SIDE, SIDE), np.float32)
    shade = np.zeros_like(body)
    for step in np.linspace(0, 1, 9):  # puffs that grow as they rise
        x, y = 0.34 * np.sin(3.4 * step) * step, 0.9 - 0.72 * step
        size = 0.16 + 0.36 * step
        for _ in range(3):
            dx, dy = rng.uniform(-0.5, 0.5, 2) * size
            distance = np.hypot(_U - x - dx, (_V - y - 0.5 * dy) * 2) / size
            puff = np.exp(-((distance / 0.72) ** 4)) * (0.46 - 0.16 * step)
            body += puff * (1 - body)
            shade += puff * (0.5 - (_V - y) / size)
    coarse = Image.fromarray(rng.random((9, 9)).astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    alpha = body * (0.66 + 0.34 * np.asarray(coarse)) * 0.86
    colour = _canvas((206, 208, 214)) + 42 * np.tanh(shade)[..., None]
    return colour, np.where(alpha > 0.02, alpha, 0)
