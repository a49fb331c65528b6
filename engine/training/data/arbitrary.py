"""Things without a name, drawn by our own code and never twice alike: colour and alpha, uint8 RGBA, straight alpha.

What an artist pastes is rarely one of the vocabulary's objects. So that the blended stream learns to keep whatever is
there, it is shown solids of any outline and material, with captions that say nothing about them.

A thing is an outline, a material on it, and a light: the outline's distance to its edge is read as a height, and the
height's slope shades the material. One in five is see-through, one in five a flat drawing with an ink line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIDE = 256
"""Width and height of the square each thing is drawn in."""

SEE_THROUGH, FLAT = 0.2, 0.2
"""Shares of what can be seen through, and of flat drawings with an ink line."""

_FINE = 2
_Y, _X = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
_U, _V = (_X + 0.5) / SIDE * 2 - 1, (_Y + 0.5) / SIDE * 2 - 1

Plane = NDArray[np.floating]
_Rng = np.random.Generator


def draw(rng: np.random.Generator) -> Image.Image:
    """One thing, cropped to where its alpha exceeds 12 of 255; its longer side is at least half of `SIDE`."""
    while True:
        cover = _outline(rng)
        if cover.mean() > 0.06:  # else a scribble that closed on itself
            break
    colour = _MATERIALS[int(rng.integers(len(_MATERIALS)))](rng)
    kind = rng.random()
    if kind < SEE_THROUGH:
        colour, alpha = _glass(rng, colour, cover)
    elif kind < SEE_THROUGH + FLAT:
        colour, alpha = _inked(rng, colour, cover), cover
    else:
        colour, alpha = _lit(rng, colour, cover), cover
    rgba = np.dstack([colour.clip(0, 255), alpha.clip(0, 1)[..., None] * 255]).round().astype(np.uint8)
    picture = Image.fromarray(rgba, "RGBA")
    return picture.crop(picture.getchannel("A").point([255 * (value > 12) for value in range(256)]).getbbox())


# --- outlines: coverage (SIDE, SIDE), 0-1 ---------------------------------------------------------------------------


def _outline(rng: _Rng) -> Plane:
    """One outline, stretched and turned; now and then with a hole, or two of them joined."""
    cover = _FORMS[int(rng.integers(len(_FORMS)))](rng)
    lot = rng.random()
    if lot < 0.15:
        cover = np.maximum(cover, _moved(rng, _FORMS[int(rng.integers(len(_FORMS)))](rng)))
    elif lot < 0.3:
        hole = np.hypot(_U - rng.uniform(-0.2, 0.2), _V - rng.uniform(-0.2, 0.2)) - rng.uniform(0.1, 0.3)
        cover = np.minimum(cover, np.clip(hole * SIDE / 2 + 0.5, 0, 1))
    return cover.astype(np.float32)


def _moved(rng: _Rng, cover: Plane) -> Plane:
    """The same, smaller and elsewhere on the canvas."""
    small = Image.fromarray((cover * 255).astype(np.uint8)).resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
    canvas = Image.new("L", (SIDE, SIDE))
    canvas.paste(small, (int(rng.integers(8, SIDE // 2 - 8)), int(rng.integers(8, SIDE // 2 - 8))))
    return np.asarray(canvas, np.float32) / 255


def _filled(points: Plane) -> Plane:
    """Coverage of a closed polygon (n, 2) in -1..1, with smooth edges."""
    canvas = Image.new("L", (_FINE * SIDE, _FINE * SIDE))
    corners = ((points + 1) / 2 * _FINE * SIDE).clip(2, _FINE * SIDE - 3)
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in corners], fill=255)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


def _smoothed(line: Plane, sigma: float, *, closed: bool = True) -> Plane:
    """A line of places (n, …), blurred along it; a closed one goes on at its beginning, another stays at its ends."""
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    wide = np.pad(line, [(reach, reach), *((0, 0),) * (line.ndim - 1)], mode="wrap" if closed else "edge")
    return np.apply_along_axis(np.convolve, 0, wide, kernel, mode="valid")


def _turned(rng: _Rng, points: Plane) -> Plane:
    angle, wide = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 1.0)
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points * [wide, 1.0] @ turn.T * 0.94


def _blob(rng: _Rng) -> Plane:
    """A potato: a circle with a few slow waves on its radius."""
    angles = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 6):
        radius += rng.normal(0, 0.28 / wave) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    radius *= 0.95 / radius.max()
    return _filled(_turned(rng, np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)))


def _polygon(rng: _Rng) -> Plane:
    """A polygon of three to eight corners, or a star of as many points."""
    corners = int(rng.integers(3, 9))
    star = rng.random() < 0.35
    count = corners * (2 if star else 1)
    angles = np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.08, count)
    radius = np.where(np.arange(count) % 2, rng.uniform(0.35, 0.7), 1.0) if star else rng.uniform(0.8, 1.0, count)
    return _filled(_turned(rng, np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)))


def _rounded(rng: _Rng) -> Plane:
    """A superellipse, from a lozenge by way of an ellipse to a box with round corners."""
    power, wide = rng.uniform(1.2, 7.0), rng.uniform(0.45, 0.95)
    angles = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    points = np.stack([np.sign(cos) * np.abs(cos) ** (2 / power), np.sign(sin) * np.abs(sin) ** (2 / power)], axis=1)
    points *= [wide, 0.95]
    return _filled(_turned(rng, points) if rng.random() < 0.5 else points)


def _vessel(rng: _Rng) -> Plane:
    """A body turned on a lathe: its half-width is a smooth random line from top to bottom."""
    knots = int(rng.integers(3, 7))
    rows = np.linspace(-0.95, 0.95, 120)
    half = np.interp(rows, np.linspace(-0.95, 0.95, knots), rng.uniform(0.12, 0.8, knots))
    half = _smoothed(half, 7, closed=False)
    points = np.concatenate([np.stack([half, rows], axis=1), np.stack([-half[::-1], rows[::-1]], axis=1)])
    return _filled(points)


def _scribble(rng: _Rng) -> Plane:
    """A closed line drawn by an unsteady hand through a few random places."""
    count = int(rng.integers(5, 11))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.4, 0.95, count)
    places = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    closed = np.concatenate([places, places[:1]])
    walked = np.linspace(0, count, 40 * count, endpoint=False)
    line = np.stack([np.interp(walked, np.arange(count + 1), closed[:, axis]) for axis in (0, 1)], axis=1)
    return _filled(_smoothed(line, rng.uniform(4, 14)) + _smoothed(rng.normal(0, 0.03, line.shape), 3))


def _limbs(rng: _Rng) -> Plane:
    """Thick strokes from a middle outwards, as of a tree, a toy or a letter."""
    canvas = Image.new("L", (_FINE * SIDE, _FINE * SIDE))
    pencil, middle = ImageDraw.Draw(canvas), _FINE * SIDE / 2
    for _ in range(int(rng.integers(2, 6))):
        angle, long = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 0.85) * middle
        x, y, width = middle + long * np.cos(angle), middle + long * np.sin(angle), int(rng.integers(30, 90))
        pencil.line([(middle, middle), (x, y)], fill=255, width=width)
        for px, py in ((middle, middle), (x, y)):
            pencil.ellipse((px - width / 2, py - width / 2, px + width / 2, py + width / 2), fill=255)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


_FORMS: tuple[Callable[[_Rng], Plane], ...] = (_blob, _polygon, _rounded, _vessel, _scribble, _limbs)


# --- materials: colours (SIDE, SIDE, 3), 0-255 ----------------------------------------------------------------------


def _colour(rng: _Rng) -> NDArray[np.float32]:
    """Any colour; most are muted, as those of things are."""
    colour = rng.uniform(10, 250, 3)
    return (colour.mean() + (colour - colour.mean()) * rng.uniform(0.1, 1.2)).astype(np.float32)


def _between(rng: _Rng, share: Plane) -> Plane:
    """A mixture of two random colours by a plane of 0-1."""
    one, other = _colour(rng), _colour(rng)
    return one + (other - one) * share[..., None].clip(0, 1)


def _field(rng: _Rng, slope: float, channels: int = 1) -> Plane:
    """Noise whose amplitude falls with frequency to the power of `slope`, (SIDE, SIDE, channels), unit variance."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]) * SIDE
    weight = 1 / np.maximum(frequency, 1.0) ** slope
    weight[0, 0] = 0
    white = rng.normal(size=(2, channels, *weight.shape))
    plane = np.fft.irfft2((white[0] + 1j * white[1]) * weight, s=(SIDE, SIDE)).transpose(1, 2, 0)
    return (plane / (plane.std(axis=(0, 1)) + 1e-9)).astype(np.float32)


def _plain(rng: _Rng) -> Plane:
    return np.broadcast_to(_colour(rng), (SIDE, SIDE, 3)) + 6 * _field(rng, rng.uniform(0.6, 1.4))


def _cloudy(rng: _Rng) -> Plane:
    """Two colours that run into each other."""
    return _between(rng, 0.5 + rng.uniform(0.2, 1.2) * _field(rng, rng.uniform(1.2, 2.2))[..., 0])


def _photo(rng: _Rng) -> Plane:
    """As photographs are, statistically: brightness noise falling as 1/f, colours that vary more slowly."""
    bright = _field(rng, rng.uniform(0.8, 1.5))
    tinge = _field(rng, rng.uniform(1.4, 2.2), 3)
    return _colour(rng) + rng.uniform(15, 60) * bright + rng.uniform(5, 40) * tinge


def _striped(rng: _Rng) -> Plane:
    angle, bend = rng.uniform(0, np.pi), _field(rng, 2.0)[..., 0]
    along = _U * np.cos(angle) + _V * np.sin(angle) + rng.uniform(0, 0.12) * bend
    waves = np.sin(along * rng.uniform(6, 40))
    return _between(rng, 0.5 + rng.uniform(0.5, 4) * waves)


def _checked(rng: _Rng) -> Plane:
    cell, angle = rng.uniform(3, 12), rng.uniform(0, np.pi)
    across = np.sin((_U * np.cos(angle) + _V * np.sin(angle)) * cell)
    along = np.sin((_V * np.cos(angle) - _U * np.sin(angle)) * cell)
    return _between(rng, 0.5 + 8 * across * along)


def _dotted(rng: _Rng) -> Plane:
    """Round spots of one size on a staggered grid."""
    pitch, size = rng.uniform(0.14, 0.4), rng.uniform(0.2, 0.42)
    row = np.floor(_V / pitch)
    away = np.hypot((_U / pitch + 0.5 * (row % 2)) % 1 - 0.5, _V / pitch - row - 0.5)
    return _between(rng, (size - away) * pitch * SIDE / 2 + 0.5)


def _celled(rng: _Rng) -> Plane:
    """Stones or scales: every pixel has the colour of the seed next to it, and joints between them are dark."""
    count = int(rng.integers(8, 60))
    seeds = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    away = np.hypot(_U[..., None] - seeds[:, 0], _V[..., None] - seeds[:, 1])
    nearest = away.argmin(axis=-1)
    two = np.partition(away, 1, axis=-1)
    joint = np.clip((two[..., 1] - two[..., 0]) * 30, 0.35, 1)
    colours = _colour(rng) + rng.normal(0, rng.uniform(10, 60), (count, 3))
    return (colours[nearest] * joint[..., None]).astype(np.float32)


def _grained(rng: _Rng) -> Plane:
    """Wood: rings about a middle that lies outside, disturbed."""
    x, y = rng.uniform(-3, 3), rng.uniform(1.2, 3)
    rings = np.hypot((_U - x) * 0.4, _V - y) * rng.uniform(12, 40) + 0.8 * _field(rng, 1.8)[..., 0]
    return _between(rng, 0.5 + 0.4 * np.sin(rings) + 0.08 * _field(rng, 0.5)[..., 0])


_MATERIALS: tuple[Callable[[_Rng], Plane], ...] = (
    _plain,
    _cloudy,
    _photo,
    _photo,
    _striped,
    _checked,
    _dotted,
    _celled,
    _grained,
)


# --- light ----------------------------------------------------------------------------------------------------------


def _depth(cover: Plane) -> Plane:
    """How many pixels it is to the outline's edge, (SIDE, SIDE); 0 outside."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(cover > 0.5), np.float32)


def _height(cover: Plane, round_off: float) -> Plane:
    """The outline as a cushion, (SIDE, SIDE), 0-1: it rises from its edge over `round_off` pixels, round."""
    from scipy.ndimage import gaussian_filter  # of the extra `train`, as below

    rise = np.clip(_depth(cover) / round_off, 0, 1)
    return gaussian_filter(np.sqrt(1 - (1 - rise) ** 2), 2)


def _slopes(rng: _Rng, cover: Plane) -> tuple[Plane, Plane, Plane]:
    """The surface's unit normal, three planes."""
    round_off = rng.uniform(14, 110)
    down, right = np.gradient(_height(cover, round_off) * round_off * rng.uniform(0.6, 1.2))
    length = np.sqrt(down**2 + right**2 + 1)
    return -right / length, -down / length, 1 / length


def _lit(rng: _Rng, colour: Plane, cover: Plane) -> Plane:
    """Shaded from above by one lamp, dull or shiny."""
    x, y, z = _slopes(rng, cover)
    lamp = np.asarray([rng.uniform(-0.6, 0.6), rng.uniform(-0.9, -0.3), 1.0])
    lamp /= np.linalg.norm(lamp)
    facing = (x * lamp[0] + y * lamp[1] + z * lamp[2]).clip(0, 1)
    half = lamp + np.asarray([0.0, 0.0, 1.0])  # between the lamp and the eye
    half /= np.linalg.norm(half)
    shine = (x * half[0] + y * half[1] + z * half[2]).clip(0, 1) ** rng.uniform(12, 60)
    dark = rng.uniform(0.25, 0.6)
    gloss = rng.uniform(0, 170) * (rng.random() < 0.6)
    return colour * (dark + (1.12 - dark) * facing)[..., None] + gloss * shine[..., None]


def _inked(rng: _Rng, colour: Plane, cover: Plane) -> Plane:
    """Flat, with a line along the edge as a pen draws it."""
    width = rng.uniform(3, 9) * (1 + 0.3 * _field(rng, 1.8)[..., 0])
    line = np.clip(width - _depth(cover) + 0.5, 0, 1)[..., None]
    ink = rng.uniform(0, 70, 3).astype(np.float32)
    return colour * (1 - line) + ink * line


def _glass(rng: _Rng, colour: Plane, cover: Plane) -> tuple[Plane, Plane]:
    """Clear in the middle and dense at the rim, in one tint, or with its material showing faintly."""
    x, y, z = _slopes(rng, cover)
    tint = np.broadcast_to(_colour(rng), colour.shape) if rng.random() < 0.7 else colour
    clear, rim = rng.uniform(0.12, 0.5), rng.uniform(0.3, 0.6)
    alpha = clear + rim * (1 - z) ** rng.uniform(0.7, 2)
    shine = (0.35 * -x + 0.6 * -y + 0.7 * z).clip(0, 1) ** rng.uniform(20, 60) * rng.uniform(0.4, 0.9)
    alpha = (alpha + shine).clip(0, 0.97)
    white = (shine / np.maximum(alpha, 1e-3)).clip(0, 1)[..., None]
    return tint * (0.75 + 0.35 * z)[..., None] * (1 - white) + 255 * white, cover * alpha
