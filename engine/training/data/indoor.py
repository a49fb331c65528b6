"""Scenes that know no time of day: a table, a room, a studio, space, the moon, the sea floor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from layerfusion.engine.training.data.paint import SIDE, Canvas, Colour, Picture, gradient, ink, mix
from layerfusion.engine.training.data.vocabulary import SINGLE, STUDIOS, WALLS, with_article

_STUDIO = {
    "white": (240, 240, 240),
    "gray": (150, 150, 150),
    "black": (36, 36, 40),
    "red": (204, 50, 50),
    "orange": (240, 140, 50),
    "yellow": (246, 212, 80),
    "green": (80, 172, 92),
    "blue": (70, 130, 212),
    "purple": (132, 80, 182),
    "pink": (240, 150, 182),
}

_WALL = {
    "white": (238, 236, 230),
    "blue": (140, 180, 222),
    "green": (160, 204, 164),
    "pink": (242, 182, 192),
    "yellow": (250, 222, 132),
}


def _table(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    walls = ((205, 214, 220), (232, 222, 200), (150, 170, 180), (96, 110, 130), (214, 190, 180))
    wall = np.asarray(walls[int(rng.integers(5))], np.float32)
    horizon = float(rng.uniform(0.44, 0.56))
    picture = canvas.gradient([(0, wall * 0.9), (1, wall)]) * (1 + 0.03 * canvas.fractal(24, 2))[..., None]
    grain = np.sin(0.22 * canvas.rows + 13 * canvas.noise(5) + 3 * canvas.noise(12))
    picture = canvas.ground(
        picture, horizon * canvas.height, (178, 116, 68), (196, 134, 82), 0.14 * grain + 0.06 * canvas.fractal(16, 3)
    )
    for board in (0.18, 0.5):
        y = int(canvas.height * (horizon + (1 - horizon) * board))
        picture[y : y + 2] *= 0.66
    return picture, SINGLE["table"][0], horizon


def _room(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    name = WALLS[int(rng.integers(len(WALLS)))]
    wall = np.asarray(_WALL[name], np.float32)
    line = canvas.height * float(rng.uniform(0.58, 0.66))
    picture = canvas.gradient([(0, wall * 0.94), (1, wall)]) * (1 + 0.03 * canvas.fractal(16, 3))[..., None]
    depth = np.clip((canvas.rows - line) / (canvas.height - line), 0, 1)
    planks = np.sin((canvas.columns - canvas.width / 2) / (0.4 + depth) * 0.21) > 0.93
    wood = 0.10 * canvas.fractal(24, 3) - 0.25 * planks
    picture = canvas.ground(picture, line, (190, 138, 94), (164, 114, 74), wood)
    picture[int(line) - 7 : int(line)] = (250, 250, 248)
    left, width = int(rng.uniform(0.08, 0.62) * canvas.width), 72
    picture[28:112, left : left + width] = (252, 252, 250)
    outside = gradient(
        [(0, (104, 176, 240)), (0.7, (206, 232, 250)), (0.75, (110, 180, 90)), (1, (90, 160, 80))], 74, width
    )
    picture[33:107, left + 5 : left + width - 5] = outside[:, : width - 10]
    picture[68:72, left : left + width] = (252, 252, 250)
    picture[28:112, left + width // 2 - 2 : left + width // 2 + 2] = (252, 252, 250)
    return picture, f"a room with a {name} wall", line / canvas.height


def backdrop(canvas: Canvas, colour: Colour) -> Picture:
    """A studio backdrop of one colour: vignette, a little cloth texture."""
    x, y = canvas.rng.uniform(0.4, 0.6, 2)
    distance = np.hypot(canvas.columns / canvas.width - x, canvas.rows / canvas.height - y)
    light = 1.12 - 0.5 * distance + 0.05 * canvas.fractal(4, 4)
    return np.asarray(colour, np.float32) * light[..., None]


def _studio(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    name = STUDIOS[int(rng.integers(len(STUDIOS)))]
    return backdrop(canvas, _STUDIO[name]), with_article(f"{name} studio background"), 0.6


def _space(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    caption = SINGLE["space"][int(rng.integers(2))]
    outer = caption.startswith("outer")
    picture = canvas.gradient(
        [(0, (6, 6, 24)), (1, (26, 18, 62))] if outer else [(0, (10, 14, 50)), (1, (58, 52, 118))]
    )
    cloud = np.clip(canvas.fractal(3, 4) + 0.15, 0, 1)[..., None]
    hue = ((150, 50, 170), (50, 100, 190), (180, 70, 110))[int(rng.integers(3))]
    picture = mix(picture, np.asarray(hue, np.float32), cloud * (0.9 if outer else 0.35))
    white = ((255, 255, 255), (214, 226, 255), (255, 240, 206))
    picture = canvas.dots(picture, canvas.many(46), (2, canvas.height - 3), white, (1.0, 2.4))
    if outer:
        x, y = rng.uniform(0.15, 0.85) * canvas.width, rng.uniform(0.12, 0.3) * canvas.height
        r, rows, columns = rng.uniform(16, 26), canvas.rows, canvas.columns
        inside = np.clip(r - np.hypot(columns - x, rows - y) + 0.5, 0, 1)[..., None]
        bands = 1 + 0.25 * np.sin(rows / 3.5 + 3 * canvas.noise(8))[..., None]
        picture = mix(picture, np.asarray((232, 168, 96), np.float32) * bands, inside)
    else:
        picture = canvas.glow(
            picture,
            rng.uniform(0.15, 0.85) * canvas.width,
            rng.uniform(0.12, 0.25) * canvas.height,
            15,
            (246, 242, 214),
            24,
        )
    return picture, caption, 0.6


def _moon(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    horizon = float(rng.uniform(0.5, 0.6))
    picture = canvas.gradient([(0, (4, 4, 12)), (1, (14, 14, 26))])
    picture = canvas.dots(picture, canvas.many(40), (2, int(canvas.height * horizon)), ((255, 255, 255),), (0.9, 1.8))
    x, y = rng.uniform(0.15, 0.85) * canvas.width, rng.uniform(0.12, 0.24) * canvas.height
    picture = canvas.glow(picture, x, y, rng.uniform(17, 22), (84, 150, 236), 10)
    line = horizon * canvas.height + canvas.ridge((2, 6), (1, 0.3)) * 8
    picture = canvas.ground(picture, line, (150, 150, 154), (186, 186, 190), 0.16 * canvas.fractal(16, 4))
    for _ in range(canvas.many(8)):
        y = rng.uniform(horizon * canvas.height + 16, canvas.height)
        size = 5 + 20 * (y / canvas.height - horizon) / (1 - horizon)
        x = rng.uniform(0, canvas.width)
        ring = np.hypot((canvas.columns - x) / 2.0, canvas.rows - y) / size
        picture = (
            picture
            * (1 - 0.34 * np.clip(1 - ring, 0, 1) ** 0.5 + 0.24 * np.exp(-(((ring - 1.05) / 0.14) ** 2)))[..., None]
        )
    return picture, SINGLE["moon"][0], horizon


def _seafloor(canvas: Canvas) -> tuple[Picture, str, float]:
    rng = canvas.rng
    horizon = float(rng.uniform(0.6, 0.68))
    rows, columns = canvas.rows / canvas.height, canvas.columns / SIDE
    picture = canvas.gradient([(0, (70, 196, 226)), (0.7, (18, 92, 160)), (1, (12, 64, 124))])
    rays = np.clip(np.sin((columns + 0.35 * rows) * 26 + 4 * canvas.noise(3)), 0, 1) * np.clip(0.9 - 1.3 * rows, 0, 1)
    picture = mix(picture, np.asarray((190, 240, 250), np.float32), 0.35 * rays[..., None])
    line = horizon * canvas.height + canvas.ridge((2, 5), (1, 0.4)) * 8
    picture = canvas.ground(
        picture, line, (120, 164, 160), (176, 190, 150), 0.14 * canvas.perspective(horizon * canvas.height, 6, 4)
    )
    drawing = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(drawing)
    for _ in range(canvas.many(7)):
        x, foot = rng.uniform(0, canvas.width), horizon * canvas.height + rng.uniform(2, 26)
        height = rng.uniform(40, 90)
        green = ink(np.asarray(((40, 130, 84), (60, 150, 70), (190, 80, 110))[int(rng.integers(3))]))
        phase = rng.uniform(0, 6)
        points = [(x + 6 * np.sin(phase + s * 5), foot - s * height) for s in np.linspace(0, 1, 12)]
        pencil.line(points, fill=green, width=6, joint="curve")
    picture = np.asarray(drawing).astype(np.float32)
    bubbles = canvas.many(12)
    picture = canvas.dots(picture, bubbles, (10, int(canvas.height * 0.6)), ((206, 242, 250),), (1.5, 3.5))
    return picture, SINGLE["seafloor"][0], horizon


DRAW_INDOOR: dict[str, Callable[[Canvas], tuple[Picture, str, float]]] = {
    "table": _table,
    "room": _room,
    "studio": _studio,
    "space": _space,
    "moon": _moon,
    "seafloor": _seafloor,
}
"""Scene kind -> what draws it: the picture, its caption, and the horizon as a share of the height."""

INDOOR_LIGHT = {
    "table": ((1.0, 1.0, 1.0), 0.25, 0.55),
    "room": ((0.99, 0.98, 0.96), 0.25, 0.5),
    "studio": ((1.0, 1.0, 1.0), 0.0, 0.55),
    "space": ((0.80, 0.80, 0.98), 0.0, 0.0),
    "moon": ((0.96, 0.97, 1.0), 0.6, 0.6),
    "seafloor": ((0.62, 0.90, 0.98), 0.0, 0.4),
}
"""Scene kind -> tint, length and strength of its light, as `scenes.Light` has them."""
