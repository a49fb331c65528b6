"""Scenes that know no time of day: a table, a room, a studio, space, the moon, the sea floor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from layerfusion.engine.training.data.paint import (
    SIDE,
    Colour,
    Picture,
    dots,
    fractal,
    glow,
    gradient,
    ground,
    ink,
    mix,
    noise,
    perspective,
    ridge,
)
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


def _table(rng: np.random.Generator) -> tuple[Picture, str, float]:
    walls = ((205, 214, 220), (232, 222, 200), (150, 170, 180), (96, 110, 130), (214, 190, 180))
    wall = np.asarray(walls[int(rng.integers(5))], np.float32)
    horizon = float(rng.uniform(0.44, 0.56))
    picture = gradient([(0, wall * 0.9), (1, wall)]) * (1 + 0.03 * fractal(rng, 24, 2))[..., None]
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    grain = np.sin(0.22 * rows + 13 * noise(rng, 5) + 3 * noise(rng, 12))
    picture = ground(picture, horizon * SIDE, (178, 116, 68), (196, 134, 82), 0.14 * grain + 0.06 * fractal(rng, 16, 3))
    for board in (0.18, 0.5):
        y = int(SIDE * (horizon + (1 - horizon) * board))
        picture[y : y + 2] *= 0.66
    return picture, SINGLE["table"][0], horizon


def _room(rng: np.random.Generator) -> tuple[Picture, str, float]:
    name = WALLS[int(rng.integers(len(WALLS)))]
    wall = np.asarray(_WALL[name], np.float32)
    line = SIDE * float(rng.uniform(0.58, 0.66))
    picture = gradient([(0, wall * 0.94), (1, wall)]) * (1 + 0.03 * fractal(rng, 16, 3))[..., None]
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    depth = np.clip((rows - line) / (SIDE - line), 0, 1)
    planks = np.sin((columns - SIDE / 2) / (0.4 + depth) * 0.21) > 0.93
    wood = 0.10 * fractal(rng, 24, 3) - 0.25 * planks
    picture = ground(picture, line, (190, 138, 94), (164, 114, 74), wood)
    picture[int(line) - 7 : int(line)] = (250, 250, 248)
    left, width = int(rng.uniform(0.08, 0.62) * SIDE), 72
    picture[28:112, left : left + width] = (252, 252, 250)
    outside = gradient([(0, (104, 176, 240)), (0.7, (206, 232, 250)), (0.75, (110, 180, 90)), (1, (90, 160, 80))], 74)
    picture[33:107, left + 5 : left + width - 5] = outside[:, : width - 10]
    picture[68:72, left : left + width] = (252, 252, 250)
    picture[28:112, left + width // 2 - 2 : left + width // 2 + 2] = (252, 252, 250)
    return picture, f"a room with a {name} wall", line / SIDE


def backdrop(rng: np.random.Generator, colour: Colour) -> Picture:
    """A studio backdrop of one colour: vignette, a little cloth texture."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    distance = np.hypot(columns - rng.uniform(0.4, 0.6), rows - rng.uniform(0.4, 0.6))
    light = 1.12 - 0.5 * distance + 0.05 * fractal(rng, 4, 4)
    return np.asarray(colour, np.float32) * light[..., None]


def _studio(rng: np.random.Generator) -> tuple[Picture, str, float]:
    name = STUDIOS[int(rng.integers(len(STUDIOS)))]
    return backdrop(rng, _STUDIO[name]), with_article(f"{name} studio background"), 0.6


def _space(rng: np.random.Generator) -> tuple[Picture, str, float]:
    caption = SINGLE["space"][int(rng.integers(2))]
    outer = caption.startswith("outer")
    picture = gradient([(0, (6, 6, 24)), (1, (26, 18, 62))] if outer else [(0, (10, 14, 50)), (1, (58, 52, 118))])
    cloud = np.clip(fractal(rng, 3, 4) + 0.15, 0, 1)[..., None]
    hue = ((150, 50, 170), (50, 100, 190), (180, 70, 110))[int(rng.integers(3))]
    picture = mix(picture, np.asarray(hue, np.float32), cloud * (0.9 if outer else 0.35))
    white = ((255, 255, 255), (214, 226, 255), (255, 240, 206))
    picture = dots(picture, rng, 46, (2, SIDE - 3), white, (1.0, 2.4))
    if outer:
        x, y, r = rng.uniform(0.15, 0.85) * SIDE, rng.uniform(0.12, 0.3) * SIDE, rng.uniform(16, 26)
        rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
        inside = np.clip(r - np.hypot(columns - x, rows - y) + 0.5, 0, 1)[..., None]
        bands = 1 + 0.25 * np.sin(rows / 3.5 + 3 * noise(rng, 8))[..., None]
        picture = mix(picture, np.asarray((232, 168, 96), np.float32) * bands, inside)
    else:
        picture = glow(picture, rng.uniform(0.15, 0.85) * SIDE, rng.uniform(0.12, 0.25) * SIDE, 15, (246, 242, 214), 24)
    return picture, caption, 0.6


def _moon(rng: np.random.Generator) -> tuple[Picture, str, float]:
    horizon = float(rng.uniform(0.5, 0.6))
    picture = dots(
        gradient([(0, (4, 4, 12)), (1, (14, 14, 26))]),
        rng,
        40,
        (2, int(SIDE * horizon)),
        ((255, 255, 255),),
        (0.9, 1.8),
    )
    picture = glow(
        picture, rng.uniform(0.15, 0.85) * SIDE, rng.uniform(0.12, 0.24) * SIDE, rng.uniform(17, 22), (84, 150, 236), 10
    )
    line = horizon * SIDE + ridge(rng, (2, 6), (1, 0.3)) * 8
    picture = ground(picture, line, (150, 150, 154), (186, 186, 190), 0.16 * fractal(rng, 16, 4))
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    for _ in range(8):
        y = rng.uniform(horizon * SIDE + 16, SIDE)
        size = 5 + 20 * (y / SIDE - horizon) / (1 - horizon)
        x = rng.uniform(0, SIDE)
        ring = np.hypot((columns - x) / 2.0, rows - y) / size
        picture = (
            picture
            * (1 - 0.34 * np.clip(1 - ring, 0, 1) ** 0.5 + 0.24 * np.exp(-(((ring - 1.05) / 0.14) ** 2)))[..., None]
        )
    return picture, SINGLE["moon"][0], horizon


def _seafloor(rng: np.random.Generator) -> tuple[Picture, str, float]:
    horizon = float(rng.uniform(0.6, 0.68))
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32) / SIDE
    picture = gradient([(0, (70, 196, 226)), (0.7, (18, 92, 160)), (1, (12, 64, 124))])
    rays = np.clip(np.sin((columns + 0.35 * rows) * 26 + 4 * noise(rng, 3)), 0, 1) * np.clip(0.9 - 1.3 * rows, 0, 1)
    picture = mix(picture, np.asarray((190, 240, 250), np.float32), 0.35 * rays[..., None])
    line = horizon * SIDE + ridge(rng, (2, 5), (1, 0.4)) * 8
    picture = ground(picture, line, (120, 164, 160), (176, 190, 150), 0.14 * perspective(rng, horizon * SIDE, 6, 4))
    canvas = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(canvas)
    for _ in range(7):
        x, foot, height = rng.uniform(0, SIDE), horizon * SIDE + rng.uniform(2, 26), rng.uniform(40, 90)
        green = ink(np.asarray(((40, 130, 84), (60, 150, 70), (190, 80, 110))[int(rng.integers(3))]))
        phase = rng.uniform(0, 6)
        points = [(x + 6 * np.sin(phase + s * 5), foot - s * height) for s in np.linspace(0, 1, 12)]
        pencil.line(points, fill=green, width=6, joint="curve")
    picture = np.asarray(canvas).astype(np.float32)
    return dots(picture, rng, 12, (10, int(SIDE * 0.6)), ((206, 242, 250),), (1.5, 3.5)), SINGLE["seafloor"][0], horizon


DRAW_INDOOR: dict[str, Callable[[np.random.Generator], tuple[Picture, str, float]]] = {
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
