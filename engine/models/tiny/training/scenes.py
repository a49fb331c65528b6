"""Drawn backgrounds: sixteen kinds of scene, the outdoor ones at six times of day, each textured and never twice alike.

All code is ours; no photograph is used. A scene also says how it lights what stands in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from engine.models.tiny.training.paint import (
    SIDE,
    Colour,
    Picture,
    below,
    dots,
    fractal,
    glow,
    gradient,
    ground,
    mix,
    noise,
    perspective,
    ridge,
)
from engine.models.tiny.training.vocabulary import OUTDOOR, SINGLE, STUDIOS, TIMES, WALLS


@dataclass(frozen=True)
class Light:
    """How a scene lights an object.

    Attributes:
        tint: factor on the object's colours, a channel.
        direction: where shadows fall, -1 (left) to 1 (right).
        length: of the cast shadow, as a share of the object's height; 0 leaves the contact shadow only.
        strength: how much the shadow darkens the ground, 0-1.
    """

    tint: tuple[float, float, float]
    direction: float
    length: float
    strength: float


@dataclass(frozen=True)
class Scene:
    """A background.

    Attributes:
        caption: what the model is told.
        pixels: (SIDE, SIDE, 3), 0-255.
        light: how it lights an object.
        horizon: where the ground begins, as a share of the height.
    """

    caption: str
    pixels: Picture
    light: Light
    horizon: float


@dataclass(frozen=True)
class _Time:
    sky: tuple[tuple[float, Colour], ...]
    tint: tuple[float, float, float]
    length: float
    strength: float


_DAY = {
    "sunny": _Time(((0, (58, 136, 232)), (1, (190, 228, 252))), (1.05, 1.02, 0.96), 0.35, 0.6),
    "sunset": _Time(((0, (64, 50, 124)), (0.55, (240, 108, 88)), (1, (255, 200, 108))), (1.06, 0.84, 0.70), 0.8, 0.55),
    "sunrise": _Time(
        ((0, (116, 150, 224)), (0.6, (250, 178, 178)), (1, (255, 228, 176))), (1.05, 0.94, 0.92), 0.7, 0.5
    ),
    "night": _Time(((0, (8, 12, 42)), (1, (36, 48, 98))), (0.50, 0.56, 0.82), 0.0, 0.5),
    "cloudy": _Time(((0, (134, 144, 160)), (1, (204, 210, 217))), (0.88, 0.92, 0.97), 0.0, 0.42),
    "foggy": _Time(((0, (206, 212, 218)), (1, (226, 230, 233))), (0.97, 0.99, 1.0), 0.0, 0.32),
}

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


class _View:
    """What the parts of one outdoor scene share: its randomness, its time, where sun and horizon are."""

    def __init__(self, rng: np.random.Generator, time: str) -> None:
        self.rng = rng
        self.time = time
        self.day = _DAY[time]
        self.tint = np.asarray(self.day.tint, np.float32)
        self.horizon = float(rng.uniform(0.44, 0.56))
        self.sun = float(rng.uniform(0.12, 0.88))

    @property
    def line(self) -> float:
        return self.horizon * SIDE

    def lit(self, colour: Colour) -> np.ndarray:
        return np.asarray(colour, np.float32) * self.tint

    def sky(self, horizon: float | None = None) -> Picture:
        rng, share = self.rng, horizon or self.horizon
        picture = gradient([(place * share, colour) for place, colour in self.day.sky] + [(1.0, self.day.sky[-1][1])])
        if self.time == "night":
            white = ((255, 255, 255), (220, 228, 255), (255, 244, 214))
            picture = dots(picture, rng, int(rng.integers(22, 36)), (4, int(SIDE * share * 0.9)), white, (1.0, 2.2))
            picture = glow(
                picture, self.sun * SIDE, rng.uniform(0.1, 0.3) * SIDE, rng.uniform(13, 19), (246, 242, 214), 26
            )
        if self.time in ("sunset", "sunrise"):
            height = (share - rng.uniform(0.03, 0.13)) * SIDE
            picture = glow(picture, self.sun * SIDE, height, rng.uniform(18, 25), (255, 242, 176), 64)
        if self.time == "sunny":
            picture = glow(
                picture, self.sun * SIDE, rng.uniform(0.09, 0.2) * SIDE, rng.uniform(13, 18), (255, 246, 184), 36
            )
        if self.time in ("sunny", "cloudy", "sunrise", "sunset"):
            picture = self._clouds(picture, share)
        return picture

    def _clouds(self, picture: Picture, share: float) -> Picture:
        cover = {"cloudy": 0.35, "sunny": -0.25, "sunrise": -0.2, "sunset": -0.15}[self.time]
        colour = {
            "cloudy": (168, 174, 184),
            "sunny": (255, 255, 255),
            "sunrise": (255, 236, 232),
            "sunset": (250, 150, 130),
        }
        rows = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
        shape = fractal(self.rng, 3, 4)
        density = np.clip((shape + cover) * 3.2, 0, 1) * np.clip((share - rows) * 9, 0, 1)
        return mix(picture, np.asarray(colour[self.time], np.float32), 0.82 * density[..., None])

    def ground(self, picture: Picture, line: object, far: Colour, near: Colour, texture: np.ndarray) -> Picture:
        return ground(picture, line, self.lit(far), self.lit(near), texture)  # type: ignore[arg-type]

    def finish(self, picture: Picture) -> Picture:
        if self.time != "foggy":
            return picture
        rows = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
        veil = np.clip(0.76 - 0.60 * np.clip((rows - self.horizon) / (1 - self.horizon), 0, 1), 0, 1)
        veil = np.clip(veil + 0.12 * fractal(self.rng, 3, 3), 0, 0.84)
        return mix(picture, np.asarray((222, 227, 231), np.float32), veil[..., None])


def _water(view: _View, picture: Picture) -> Picture:
    waves = perspective(view.rng, view.line, 6, 5)
    sea = view.ground(picture, view.line, (34, 146, 196), (20, 104, 160), 0.22 * waves)
    if view.time in ("sunset", "sunrise", "night"):
        colour = (255, 172, 110) if view.time != "night" else (190, 200, 230)
        columns = np.linspace(0, 1, SIDE, dtype=np.float32)[None]
        path = np.exp(-(((columns - view.sun) / 0.11) ** 2)) * np.clip(waves + 0.45, 0, 1)
        sea = mix(sea, np.asarray(colour, np.float32), 0.75 * path[..., None] * below(view.line + 1))
    return sea


def _ocean(view: _View) -> Picture:
    return _water(view, view.sky())


def _beach(view: _View) -> Picture:
    picture, rng = _ocean(view), view.rng
    shore = view.line + rng.uniform(0.1, 0.17) * SIDE + ridge(rng, (2, 4), (1, 0.4)) * 8
    picture = view.ground(picture, shore - 6, (250, 252, 250), (250, 252, 250), np.zeros((SIDE, SIDE), np.float32))
    sand = 0.10 * perspective(rng, view.line, 8, 4) + 0.05 * fractal(rng, 32, 2)
    return view.ground(picture, shore, (242, 214, 152), (224, 184, 114), sand)


def _mountains(view: _View) -> Picture:
    rng, picture = view.rng, view.sky(view.horizon + 0.08)
    skyline = view.line - 34 - ridge(rng, (4, 9, 22), (1, 0.4, 0.14)) * 36
    rock = 0.30 * fractal(rng, 8, 4)
    peaks = view.ground(picture, skyline, (104, 114, 146), (76, 88, 122), rock)
    snow = view.ground(picture, skyline, (246, 249, 255), (226, 233, 247), 0.35 * rock)
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    limit = skyline[None] + 20 + 16 * fractal(rng, 10, 3)
    picture = np.where((rows < limit)[..., None], snow, peaks)
    field = view.line + 24 + ridge(rng, (2, 5), (1, 0.4)) * 7
    return view.ground(picture, field, (238, 243, 252), (208, 219, 238), 0.06 * perspective(rng, view.line, 6, 3))


def _grass(view: _View) -> np.ndarray:
    return 0.20 * perspective(view.rng, view.line - 8, 14, 5) + 0.08 * fractal(view.rng, 32, 2)


def _meadow(view: _View) -> Picture:
    rng, picture = view.rng, view.sky(view.horizon + 0.05)
    far = view.line - 10 + ridge(rng, (2, 4), (1, 0.3)) * 14
    picture = view.ground(picture, far, (104, 176, 96), (78, 152, 74), 0.12 * fractal(rng, 24, 2))
    near = view.line + 14 + ridge(rng, (2, 4), (1, 0.3)) * 11
    return view.ground(picture, near, (126, 202, 84), (66, 144, 50), _grass(view))


def _flowers(view: _View) -> Picture:
    rng, picture = view.rng, _meadow(view)
    colours = [view.lit(c) for c in ((250, 70, 90), (255, 214, 60), (250, 250, 250), (236, 110, 220), (150, 100, 235))]
    for row in range(9):  # rows of flowers, larger towards the front
        depth = (row / 8) ** 1.6
        y = view.line + 22 + depth * (SIDE - view.line - 28)
        size = 1.6 + 3.4 * depth
        picture = dots(
            picture, rng, int(26 - 9 * depth), (int(y), int(y + 7 + 12 * depth)), colours, (size * 0.8, size * 1.2)
        )
    return picture


def _desert(view: _View) -> Picture:
    rng, picture = view.rng, view.sky(view.horizon + 0.05)
    far = view.line + ridge(rng, (2, 3), (1, 0.4)) * 18
    picture = view.ground(picture, far, (226, 160, 92), (204, 134, 70), 0.06 * fractal(rng, 12, 3))
    near = view.line + 34 + ridge(rng, (2, 3), (1, 0.4)) * 15
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    ripples = 0.09 * np.sin(rows * 0.33 + 9 * noise(rng, 6)) + 0.05 * fractal(rng, 32, 2)
    return view.ground(picture, near, (242, 184, 108), (214, 146, 76), ripples)


def _trees(view: _View, autumn: bool) -> Picture:
    rng, picture = view.rng, view.sky(view.horizon + 0.1)
    floor = ((168, 116, 58), (132, 84, 42)) if autumn else ((88, 142, 66), (52, 102, 42))
    leaves = ((214, 108, 38), (188, 66, 40), (232, 158, 50)) if autumn else ((38, 108, 58), (28, 88, 48), (58, 128, 68))
    picture = view.ground(picture, view.line + 18, *floor, _grass(view))
    canvas = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(canvas)
    places = np.linspace(-8, SIDE + 8, 15) + rng.uniform(-9, 9, 15)
    for x in rng.permutation(places):
        height, foot = rng.uniform(78, 128), view.line + rng.uniform(14, 34)
        colour = _ink(view.lit(leaves[int(rng.integers(3))]))
        dark = _ink(view.lit(leaves[1]) * 0.8)
        pencil.rectangle([x - 4, foot - 16, x + 4, foot + 6], fill=_ink(view.lit((92, 62, 42))))
        if autumn:
            pencil.ellipse([x - 21, foot - height * 0.85, x + 21, foot - 9], fill=colour)
            for _ in range(9):
                dx, dy, r = rng.uniform(-14, 14), rng.uniform(0.2, 0.75), rng.uniform(3, 6)
                pencil.ellipse([x + dx - r, foot - height * dy - r, x + dx + r, foot - height * dy + r], fill=dark)
        else:
            for tier in range(3):
                width, base = 25 - 6 * tier, foot - 9 - tier * height * 0.24
                pencil.polygon([(x - width, base), (x + width, base), (x, base - height * 0.46)], fill=colour)
                pencil.polygon([(x, base), (x + width, base), (x, base - height * 0.46)], fill=dark)
    return np.asarray(canvas).astype(np.float32) * (1 + 0.10 * fractal(rng, 32, 2))[..., None]


def _forest(view: _View) -> Picture:
    return _trees(view, autumn=False)


def _autumn(view: _View) -> Picture:
    return _trees(view, autumn=True)


def _city(view: _View) -> Picture:
    rng, base = view.rng, view.line + 38
    canvas = Image.fromarray(view.sky(view.horizon + 0.2).clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(canvas)
    lights = view.time in ("night", "sunset", "foggy")
    for layer in range(2):
        x = -8
        while x < SIDE:
            width, height = int(rng.uniform(22, 38)), rng.uniform(56, 128) * (1 - 0.3 * layer)
            wall = np.asarray(((148, 150, 164), (168, 140, 128), (104, 114, 138))[int(rng.integers(3))], np.float32)
            wall = view.lit(wall) * rng.uniform(0.85, 1.1) * (1 - 0.2 * layer)
            pencil.rectangle([x, base - height, x + width, base], fill=_ink(wall))
            for y in np.arange(base - height + 7, base - 9, 13):
                for left in range(x + 4, x + width - 6, 10):
                    if rng.random() < 0.8:
                        pane = (255, 226, 130) if lights and rng.random() < 0.8 else wall * 0.6 + 46
                        pencil.rectangle([left, y, left + 5, y + 7], fill=_ink(pane))
            x += width + int(rng.uniform(0, 5))
    picture = np.asarray(canvas).astype(np.float32)
    picture = view.ground(picture, base - 5, (176, 174, 170), (176, 174, 170), np.zeros((SIDE, SIDE), np.float32))
    picture = view.ground(picture, base + 5, (104, 106, 114), (82, 84, 92), 0.10 * fractal(rng, 32, 3))
    columns = np.arange(SIDE, dtype=np.float32)[None]
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    depth = np.clip((rows - base) / (SIDE - base), 0, 1)
    dashes = (np.abs(columns - SIDE / 2) < 1 + 5 * depth) & (np.sin(18 * np.log(depth + 0.25)) > 0)
    return mix(picture, view.lit((240, 226, 160)), (dashes * (depth > 0.06)).astype(np.float32)[..., None])


def _snow(view: _View) -> Picture:
    rng, picture = view.rng, view.sky(view.horizon + 0.05)
    hills = view.line + ridge(rng, (2, 4), (1, 0.4)) * 12
    drifts = 0.07 * perspective(rng, view.line, 4, 3) + 0.02 * fractal(rng, 32, 2)
    return view.ground(picture, hills, (240, 245, 253), (208, 221, 241), drifts)


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
    return backdrop(rng, _STUDIO[name]), f"{'an' if name[0] in 'aeiou' else 'a'} {name} studio background", 0.6


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
        green = _ink(np.asarray(((40, 130, 84), (60, 150, 70), (190, 80, 110))[int(rng.integers(3))]))
        phase = rng.uniform(0, 6)
        points = [(x + 6 * np.sin(phase + s * 5), foot - s * height) for s in np.linspace(0, 1, 12)]
        pencil.line(points, fill=green, width=6, joint="curve")
    picture = np.asarray(canvas).astype(np.float32)
    return dots(picture, rng, 12, (10, int(SIDE * 0.6)), ((206, 242, 250),), (1.5, 3.5)), SINGLE["seafloor"][0], horizon


def _ink(colour: object) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.asarray(colour, np.float32), 0, 255).astype(int)
    return int(red), int(green), int(blue)


_DRAW: dict[str, Callable[[_View], Picture]] = {
    "beach": _beach,
    "ocean": _ocean,
    "mountains": _mountains,
    "meadow": _meadow,
    "flowers": _flowers,
    "desert": _desert,
    "forest": _forest,
    "autumn": _autumn,
    "city": _city,
    "snow": _snow,
}
_SINGLE: dict[str, Callable[[np.random.Generator], tuple[Picture, str, float]]] = {
    "table": _table,
    "room": _room,
    "studio": _studio,
    "space": _space,
    "moon": _moon,
    "seafloor": _seafloor,
}
_INDOOR_LIGHT = {
    "table": ((1.0, 1.0, 1.0), 0.25, 0.55),
    "room": ((0.99, 0.98, 0.96), 0.25, 0.5),
    "studio": ((1.0, 1.0, 1.0), 0.0, 0.55),
    "space": ((0.80, 0.80, 0.98), 0.0, 0.0),
    "moon": ((0.96, 0.97, 1.0), 0.6, 0.6),
    "seafloor": ((0.62, 0.90, 0.98), 0.0, 0.4),
}


def draw_scene(rng: np.random.Generator, kind: str, time: str = "") -> Scene:
    """Draw one background.

    Args:
        kind: one of `vocabulary.KINDS`.
        time: one of `vocabulary.TIMES`, for outdoor kinds.
    """
    if kind in _SINGLE:
        pixels, caption, horizon = _SINGLE[kind](rng)
        tint, length, strength = _INDOOR_LIGHT[kind]
        return Scene(caption, pixels.clip(0, 255), Light(tint, float(rng.uniform(-1, 1)), length, strength), horizon)
    view = _View(rng, time)
    pixels = view.finish(_DRAW[kind](view)).clip(0, 255)
    words = TIMES[time]
    caption = f"{OUTDOOR[kind]} {words[int(rng.integers(len(words)))]}"
    direction = float(np.clip((0.5 - view.sun) * 2.4, -1, 1))
    return Scene(caption, pixels, Light(view.day.tint, direction, view.day.length, view.day.strength), view.horizon)
