"""The cut-outs of the made pictures: colour and true alpha in a square, of four kinds; see `made_pictures`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from layerfusion.engine.evaluation.made_paint import Plane, Rng, band, between, colours

_FINE = 256
"""Side of the square in which a cut-out is drawn, in pixels."""

_Y, _X = (np.mgrid[0:_FINE, 0:_FINE].astype(np.float32) + 0.5) / _FINE * 2 - 1
"""Vertical and horizontal place in that square, -1 to 1."""

Drawn = tuple[Plane, Plane]
"""Colour (S, S, 3) and alpha (S, S), both 0-1; straight alpha."""


def _streaks(rng: Rng, angle: float) -> Plane:
    """Brush strokes: noise that is long in one direction and short across it, (S, S), unit variance."""
    along, across = np.fft.fftfreq(_FINE)[:, None] * _FINE, np.fft.rfftfreq(_FINE)[None] * _FINE
    turned = (
        np.abs(along * np.cos(angle) - across * np.sin(angle)),
        np.abs(along * np.sin(angle) + across * np.cos(angle)),
    )
    spectrum = np.fft.rfft2(rng.normal(size=(_FINE, _FINE))) * np.exp(-((turned[0] / 4) ** 2) - (turned[1] / 30) ** 2)
    plane = np.fft.irfft2(spectrum, s=(_FINE, _FINE))
    return plane / plane.std()


def _edge(distance: Plane) -> Plane:
    """Coverage of where a distance in half-squares is positive, with a soft edge of about a pixel."""
    return (distance * _FINE / 2 + 0.5).clip(0, 1)


# ---- marbled blobs


def _blob(rng: Rng, round_: int) -> Drawn:
    """Drops that run into each other (a level set of a sum of Gaussians), of marble or banded stone."""
    count = 4 + round_ % 4
    places, widths = rng.uniform(-0.45, 0.45, (count, 2)), rng.uniform(0.18, 0.34, count)
    field = np.zeros_like(_X)
    for (x, y), width in zip(places, widths, strict=True):
        field += np.exp(-((_X - x) ** 2 + (_Y - y) ** 2) / (2 * width**2))
    down, across = np.gradient(np.sqrt(field + 1e-3), 2 / _FINE)
    slope = np.hypot(down, across)
    warp = 0.35 * band(rng, _FINE, 1, 4) + 0.12 * band(rng, _FINE, 5, 14)
    angle = rng.uniform(0, np.pi)
    bands = np.sin((4 + 3 * round_) * (_X * np.cos(angle) + _Y * np.sin(angle) + warp))
    facing = 1 / np.sqrt(1 + slope**2)
    light = 0.55 + 0.45 * facing - 0.3 * (down.clip(-1, 1) * -0.8 + across.clip(-1, 1) * 0.4)
    colour = between(colours(rng, 4), 0.5 + 0.5 * bands) * light[..., None]
    return colour, _edge((field - 0.75) / np.maximum(np.hypot(*np.gradient(field, 2 / _FINE)), 0.3))


# ---- painted shapes


def _painted(rng: Rng, round_: int) -> Drawn:
    """A pictogram, drawn by an unsteady hand: flat paint with brush strokes, inside wobbly ink lines."""
    outlines = _PICTOGRAMS[round_ % len(_PICTOGRAMS)]
    scale = 4
    large = (_FINE * scale, _FINE * scale)
    ink, cover = Image.new("L", large), Image.new("L", large)
    inks, covers = ImageDraw.Draw(ink), ImageDraw.Draw(cover)
    colour, paints = np.zeros((_FINE, _FINE, 3)), colours(rng, len(outlines))
    for points, paint in zip(outlines, paints, strict=True):
        line = [tuple((place * 0.88 + 1) / 2 * _FINE * scale) for place in _unsteady(rng, np.asarray(points, float))]
        area = Image.new("L", cover.size)
        ImageDraw.Draw(area).polygon(line, fill=255)
        covers.polygon(line, fill=255)
        inks.polygon(line, fill=0)  # a part hides the lines below it
        width = int(rng.uniform(2.5, 5.5) * scale)
        for drawing in (inks, covers):
            drawing.line([*line, line[0], line[1]], fill=255, width=width, joint="curve")
        strokes = 0.06 * _streaks(rng, rng.uniform(0, np.pi))
        share = np.asarray(area.resize((_FINE, _FINE), Image.Resampling.BOX), float)[..., None] / 255
        colour = colour * (1 - share) + (paint + strokes[..., None]) * share
    lines = np.asarray(ink.resize((_FINE, _FINE), Image.Resampling.BOX), float)[..., None] / 255
    alpha = np.asarray(cover.resize((_FINE, _FINE), Image.Resampling.BOX), float) / 255
    return colour * (1 - lines) + rng.uniform(0, 0.2, 3) * lines, alpha


def _unsteady(rng: Rng, points: Plane) -> Plane:
    """A polygon as a hand draws it: its sides are divided, and every point trembles a little; (n, 2)."""
    closed = np.vstack([points, points[:1]])
    walked = np.linspace(0, len(points), 12 * len(points), endpoint=False)
    line = np.stack([np.interp(walked, np.arange(len(closed)), closed[:, axis]) for axis in (0, 1)], axis=1)
    tremble = rng.normal(0, 0.05, line.shape)
    for _ in range(6):
        tremble = (np.roll(tremble, 1, axis=0) + tremble + np.roll(tremble, -1, axis=0)) / 3
    return line + tremble


def _ring(x: float, y: float, wide: float, high: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return [(x + wide * np.cos(angle), y + high * np.sin(angle)) for angle in angles]


def _bar(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


_PICTOGRAMS: tuple[tuple[list[tuple[float, float]], ...], ...] = (
    # an envelope, a key, a kite
    (_bar(-1, -0.6, 1, 0.6), [(-1, -0.6), (1, -0.6), (0, 0.2)], _ring(0, 0.1, 0.16, 0.16)),
    (_bar(-0.07, -0.3, 0.07, 1), _ring(0, -0.55, 0.42, 0.42), _bar(0.07, 0.55, 0.45, 0.75)),
    ([(0, -1), (0.6, -0.2), (0, 0.6), (-0.6, -0.2)], [(0, -1), (0.6, -0.2), (0, -0.2)], _bar(-0.2, 0.6, 0.2, 1)),
    # an umbrella, an hourglass, a lamp
    (_bar(-0.06, -0.4, 0.06, 1), [(-1, -0.1), (-0.6, -0.75), (0, -1), (0.6, -0.75), (1, -0.1)]),
    ([(-0.6, -1), (0.6, -1), (0.08, 0), (0.6, 1), (-0.6, 1), (-0.08, 0)], [(-0.4, 0.9), (0.4, 0.9), (0, 0.4)]),
    (_bar(-0.4, 0.8, 0.4, 1), _bar(-0.06, -0.2, 0.06, 0.8), [(-0.7, -0.1), (-0.35, -1), (0.35, -1), (0.7, -0.1)]),
)


# ---- rendered solids


def _solid(rng: Rng, round_: int) -> Drawn:
    """A body of which the true normals are known, grainy as a photograph is, under one lamp."""
    cover, normal, around = _BODIES[round_ % len(_BODIES)]()
    grain = 0.5 * band(rng, _FINE, 20, 60) + 0.35 * band(rng, _FINE, 60, 120) + 0.6 * band(rng, _FINE, 3, 8)
    lamp = np.array([rng.uniform(-0.7, 0.7), -0.7, 0.8])
    lamp /= np.linalg.norm(lamp)
    facing = (normal @ lamp).clip(0, 1)
    shine = (2 * facing * normal[..., 2] - lamp[2]).clip(0, 1) ** rng.uniform(8, 40)
    paint = between(colours(rng, 3), (0.5 + 0.22 * grain + 0.25 * np.sin(5 * around)).clip(0, 1))
    colour = paint * (0.22 + 0.85 * facing)[..., None] + rng.uniform(0.1, 0.5) * shine[..., None]
    return colour, _edge(cover)


_Body = tuple[Plane, Plane, Plane]
"""Distance inside the outline, in half-squares; unit normals (S, S, 3); a place along the surface."""


def _body(cover: Plane, x: Plane, y: Plane, along: Plane) -> _Body:
    z = np.sqrt((1 - x**2 - y**2).clip(0.02, 1))
    normal = np.stack([x, y, z], axis=-1)
    return cover, normal / np.linalg.norm(normal, axis=-1, keepdims=True), along


def _ball() -> _Body:
    radius = np.hypot(_X, _Y) / 0.85
    return _body(0.85 * (1 - radius), _X / 0.85, _Y / 0.85, _Y)


def _drum() -> _Body:
    lid = 0.22 * np.sqrt((1 - (_X / 0.7) ** 2).clip(0, 1))
    top = np.hypot(_X / 0.7, (_Y + 0.6) / 0.22) < 1
    cover = np.minimum(0.7 - np.abs(_X), np.minimum(_Y + 0.6 + lid, 0.6 + lid - _Y))
    return _body(cover, np.where(top, 0, _X / 0.7), np.where(top, -0.8, 0), _X)


def _block() -> _Body:
    """A cube seen from a corner: three faces."""
    cover = np.minimum(0.78 - np.abs(_X), 0.9 - np.abs(_Y) - 0.45 * np.abs(_X))
    lid = _Y - 0.45 * np.abs(_X) < -0.25
    return _body(cover, np.where(lid, 0, np.sign(_X) * 0.65), np.where(lid, -0.85, 0.15), _X + _Y)


def _tyre() -> _Body:
    radius, angle = np.hypot(_X, _Y), np.arctan2(_Y, _X)
    across = ((radius - 0.58) / 0.28).clip(-1, 1)
    return _body(0.28 - np.abs(radius - 0.58), across * np.cos(angle), across * np.sin(angle), 3 * angle)


def _cone() -> _Body:
    half = (0.05 + 0.62 * (_Y + 0.9) / 1.8).clip(0.02, 1)
    cover = np.minimum(half - np.abs(_X), np.minimum(_Y + 0.9, 0.9 - _Y))
    return _body(cover, (_X / half).clip(-1, 1) * 0.95, np.full_like(_X, -0.3), 2 * _Y)


def _pebble() -> _Body:
    x, y = (_X + 0.15 * _Y) / 0.9, (_Y - 0.12 * _X**2) / 0.55
    radius = (np.abs(x) ** 2.4 + np.abs(y) ** 2.4) ** (1 / 2.4)
    return _body(0.55 * (1 - radius), x.clip(-1, 1) * 0.95, y.clip(-1, 1) * 0.95, _X)


_BODIES: tuple[Callable[[], _Body], ...] = (_ball, _drum, _block, _tyre, _cone, _pebble)


# ---- what one can see through


def _clear(rng: Rng, round_: int) -> Drawn:
    """A lens, a net, a sheet of gel, a veil, drops, or a ring of tinted glass; every alpha below 1."""
    colour = between(colours(rng, 2), (_Y + 1) / 2)
    return _CLEAR[round_ % len(_CLEAR)](rng, colour)


def _lens(rng: Rng, colour: Plane) -> Drawn:
    radius = np.hypot(_X / 0.9, _Y / 0.75)
    spot = np.exp(-(((_X + 0.35) / 0.2) ** 2) - ((_Y + 0.3) / 0.12) ** 2)
    alpha = _edge(0.8 * (1 - radius)) * (0.3 + 0.35 * radius.clip(0, 1) ** 4)
    return colour * 0.8 + 0.9 * spot[..., None], (alpha + 0.5 * spot * (radius < 1)).clip(0, 0.9)


def _net(rng: Rng, colour: Plane) -> Drawn:
    bent = 0.06 * band(rng, _FINE, 1, 3)
    mesh = np.maximum(np.cos(16 * (_X + _Y + bent)), np.cos(16 * (_X - _Y - bent)))
    return colour, _edge(np.minimum(0.8 - np.abs(_X), 0.85 - np.abs(_Y))) * (0.18 + 0.6 * (3 * mesh - 2).clip(0, 1))


def _gel(rng: Rng, colour: Plane) -> Drawn:
    ripple = 0.08 * np.sin(9 * _Y + 1.5 * band(rng, _FINE, 1, 3))
    return colour + ripple[..., None], _edge(np.minimum(0.6 - np.abs(_X + ripple), 0.9 - np.abs(_Y))) * 0.55


def _veil(rng: Rng, colour: Plane) -> Drawn:
    fold = 0.5 + 0.5 * np.sin(14 * _X + 1.2 * _Y + 0.7 * band(rng, _FINE, 1, 3))
    return colour * (0.75 + 0.35 * fold[..., None]), _edge(0.75 + 0.2 * _Y - np.abs(_X)) * (np.abs(_Y) < 0.9) * (
        0.25 + 0.4 * fold
    )


def _drops(rng: Rng, colour: Plane) -> Drawn:
    alpha, shine = np.zeros_like(_X), np.zeros_like(_X)
    for _ in range(9):
        (x, y), size = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.14, 0.34)
        radius = np.hypot(_X - x, _Y - y) / size
        alpha = np.maximum(alpha, _edge(size * (1 - radius)) * (0.35 + 0.35 * radius.clip(0, 1) ** 3))
        shine += np.exp(-((np.hypot(_X - x + size / 3, _Y - y + size / 3) / (0.22 * size)) ** 2))
    return colour + shine[..., None], (alpha + 0.4 * shine * (alpha > 0)).clip(0, 0.9)


def _glass_ring(rng: Rng, colour: Plane) -> Drawn:
    radius = np.hypot(_X, _Y / 0.8)
    across = np.abs(radius - 0.62) / 0.26
    return colour * (1.15 - 0.5 * across[..., None]), _edge(0.26 * (1 - across)) * (0.3 + 0.4 * across.clip(0, 1) ** 2)


_CLEAR: tuple[Callable[[Rng, Plane], Drawn], ...] = (_lens, _net, _gel, _veil, _drops, _glass_ring)

KINDS: tuple[Callable[[Rng, int], Drawn], ...] = (_blob, _painted, _solid, _clear)
"""Draw a cut-out of a kind: the random generator, and the number of the design."""
