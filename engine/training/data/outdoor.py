"""Scenes under the sky: twelve kinds, each at six times of day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from layerfusion.engine.training.data.paint import SIDE, Canvas, Colour, Picture, ink, mix


@dataclass(frozen=True)
class TimeOfDay:
    """What the hour and the weather give.

    Attributes:
        sky: (position 0-1, colour) stops from the zenith to the horizon.
        tint, length, strength: of the light, as `scenes.Light` has them.
    """

    sky: tuple[tuple[float, Colour], ...]
    tint: tuple[float, float, float]
    length: float
    strength: float


_DAY = {
    "sunny": TimeOfDay(((0, (58, 136, 232)), (1, (190, 228, 252))), (1.05, 1.02, 0.96), 0.35, 0.6),
    "sunset": TimeOfDay(
        ((0, (64, 50, 124)), (0.55, (240, 108, 88)), (1, (255, 200, 108))), (1.06, 0.84, 0.70), 0.8, 0.55
    ),
    "sunrise": TimeOfDay(
        ((0, (116, 150, 224)), (0.6, (250, 178, 178)), (1, (255, 228, 176))), (1.05, 0.94, 0.92), 0.7, 0.5
    ),
    "night": TimeOfDay(((0, (8, 12, 42)), (1, (36, 48, 98))), (0.50, 0.56, 0.82), 0.0, 0.5),
    "cloudy": TimeOfDay(((0, (134, 144, 160)), (1, (204, 210, 217))), (0.88, 0.92, 0.97), 0.0, 0.42),
    "foggy": TimeOfDay(((0, (206, 212, 218)), (1, (226, 230, 233))), (0.97, 0.99, 1.0), 0.0, 0.32),
}


class View(Canvas):
    """What the parts of one outdoor scene share: its canvas, its time, where sun and horizon are.

    Attributes:
        sun: where sun or moon stands, as a share of the width: there is one, however wide the scene is.
    """

    def __init__(self, rng: np.random.Generator, time: str, width: int = SIDE, height: int = SIDE) -> None:
        super().__init__(rng, width, height)
        self.time = time
        self.day = _DAY[time]
        self.tint = np.asarray(self.day.tint, np.float32)
        self.horizon = float(rng.uniform(0.44, 0.56))
        self.sun = float(rng.uniform(0.12, 0.88))

    @property
    def line(self) -> float:
        return self.horizon * self.height

    def lit(self, colour: Colour) -> np.ndarray:
        return np.asarray(colour, np.float32) * self.tint

    def sky(self, above: float = 0.0) -> Picture:
        """The sky, whose colours end so many shares of `SIDE` under the horizon."""
        rng, share = self.rng, self.horizon + above * SIDE / self.height
        picture = self.gradient(
            [(place * share, colour) for place, colour in self.day.sky] + [(1.0, self.day.sky[-1][1])]
        )
        x = self.sun * self.width
        if self.time == "night":
            white = ((255, 255, 255), (220, 228, 255), (255, 244, 214))
            stars = self.many(int(rng.integers(22, 36)))
            picture = self.dots(picture, stars, (4, int(self.height * share * 0.9)), white, (1.0, 2.2))
            moon = rng.uniform(0.1, 0.3) * self.height
            picture = self.glow(picture, x, moon, rng.uniform(13, 19), (246, 242, 214), 26)
        if self.time in ("sunset", "sunrise"):
            height = share * self.height - rng.uniform(0.03, 0.13) * SIDE
            picture = self.glow(picture, x, height, rng.uniform(18, 25), (255, 242, 176), 64)
        if self.time == "sunny":
            height = rng.uniform(0.09, 0.2) * self.height
            picture = self.glow(picture, x, height, rng.uniform(13, 18), (255, 246, 184), 36)
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
        shape = self.fractal(3, 4)
        density = np.clip((shape + cover) * 3.2, 0, 1) * np.clip((share - self.rows / self.height) * 9, 0, 1)
        return mix(picture, np.asarray(colour[self.time], np.float32), 0.82 * density[..., None])

    def land(
        self, picture: Picture, line: np.ndarray | float, far: Colour, near: Colour, texture: np.ndarray | float = 0.0
    ) -> Picture:
        """`ground` in colours that the scene's light tints."""
        return self.ground(picture, line, self.lit(far), self.lit(near), texture)

    def finish(self, picture: Picture) -> Picture:
        if self.time != "foggy":
            return picture
        depth = (self.rows / self.height - self.horizon) / (1 - self.horizon)
        veil = np.clip(0.76 - 0.60 * np.clip(depth, 0, 1), 0, 1)
        veil = np.clip(veil + 0.12 * self.fractal(3, 3), 0, 0.84)
        return mix(picture, np.asarray((222, 227, 231), np.float32), veil[..., None])


def _water(view: View, picture: Picture) -> Picture:
    waves = view.perspective(view.line, 6, 5)
    sea = view.land(picture, view.line, (34, 146, 196), (20, 104, 160), 0.22 * waves)
    if view.time in ("sunset", "sunrise", "night"):
        colour = (255, 172, 110) if view.time != "night" else (190, 200, 230)
        columns = view.columns / view.width
        path = np.exp(-(((columns - view.sun) / 0.11) ** 2)) * np.clip(waves + 0.45, 0, 1)
        sea = mix(sea, np.asarray(colour, np.float32), 0.75 * path[..., None] * view.below(view.line + 1))
    return sea


def _ocean(view: View) -> Picture:
    return _water(view, view.sky())


def _beach(view: View) -> Picture:
    picture, rng = _ocean(view), view.rng
    shore = view.line + rng.uniform(0.1, 0.17) * SIDE + view.ridge((2, 4), (1, 0.4)) * 8
    picture = view.land(picture, shore - 6, (250, 252, 250), (250, 252, 250))
    sand = 0.10 * view.perspective(view.line, 8, 4) + 0.05 * view.fractal(32, 2)
    return view.land(picture, shore, (242, 214, 152), (224, 184, 114), sand)


def _mountains(view: View) -> Picture:
    picture = view.sky(0.08)
    skyline = view.line - 34 - view.ridge((4, 9, 22), (1, 0.4, 0.14)) * 36
    rock = 0.30 * view.fractal(8, 4)
    peaks = view.land(picture, skyline, (104, 114, 146), (76, 88, 122), rock)
    snow = view.land(picture, skyline, (246, 249, 255), (226, 233, 247), 0.35 * rock)
    rows = view.rows
    limit = skyline[None] + 20 + 16 * view.fractal(10, 3)
    picture = np.where((rows < limit)[..., None], snow, peaks)
    field = view.line + 24 + view.ridge((2, 5), (1, 0.4)) * 7
    return view.land(picture, field, (238, 243, 252), (208, 219, 238), 0.06 * view.perspective(view.line, 6, 3))


def _grass(view: View) -> np.ndarray:
    return 0.20 * view.perspective(view.line - 8, 14, 5) + 0.08 * view.fractal(32, 2)


def _meadow(view: View) -> Picture:
    picture = view.sky(0.05)
    far = view.line - 10 + view.ridge((2, 4), (1, 0.3)) * 14
    picture = view.land(picture, far, (104, 176, 96), (78, 152, 74), 0.12 * view.fractal(24, 2))
    near = view.line + 14 + view.ridge((2, 4), (1, 0.3)) * 11
    return view.land(picture, near, (126, 202, 84), (66, 144, 50), _grass(view))


def _flowers(view: View) -> Picture:
    picture = _meadow(view)
    colours = [view.lit(c) for c in ((250, 70, 90), (255, 214, 60), (250, 250, 250), (236, 110, 220), (150, 100, 235))]
    for row in range(9):  # rows of flowers, larger towards the front
        depth = (row / 8) ** 1.6
        y = view.line + 22 + depth * (view.height - view.line - 28)
        size = 1.6 + 3.4 * depth
        picture = view.dots(
            picture, int(26 - 9 * depth), (int(y), int(y + 7 + 12 * depth)), colours, (size * 0.8, size * 1.2)
        )
    return picture


def _desert(view: View) -> Picture:
    picture = view.sky(0.05)
    far = view.line + view.ridge((2, 3), (1, 0.4)) * 18
    picture = view.land(picture, far, (226, 160, 92), (204, 134, 70), 0.06 * view.fractal(12, 3))
    near = view.line + 34 + view.ridge((2, 3), (1, 0.4)) * 15
    rows = view.rows
    ripples = 0.09 * np.sin(rows * 0.33 + 9 * view.noise(6)) + 0.05 * view.fractal(32, 2)
    return view.land(picture, near, (242, 184, 108), (214, 146, 76), ripples)


def _trees(view: View, autumn: bool) -> Picture:
    rng, picture = view.rng, view.sky(0.1)
    floor = ((168, 116, 58), (132, 84, 42)) if autumn else ((88, 142, 66), (52, 102, 42))
    leaves = ((214, 108, 38), (188, 66, 40), (232, 158, 50)) if autumn else ((38, 108, 58), (28, 88, 48), (58, 128, 68))
    picture = view.land(picture, view.line + 18, *floor, _grass(view))
    canvas = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(canvas)
    trees = round(15 * view.breadths)
    places = np.linspace(-8, view.width + 8, trees) + rng.uniform(-9, 9, trees)
    for x in rng.permutation(places):
        height, foot = rng.uniform(78, 128), view.line + rng.uniform(14, 34)
        colour = ink(view.lit(leaves[int(rng.integers(3))]))
        dark = ink(view.lit(leaves[1]) * 0.8)
        pencil.rectangle([x - 4, foot - 16, x + 4, foot + 6], fill=ink(view.lit((92, 62, 42))))
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
    return np.asarray(canvas).astype(np.float32) * (1 + 0.10 * view.fractal(32, 2))[..., None]


def _forest(view: View) -> Picture:
    return _trees(view, autumn=False)


def _autumn(view: View) -> Picture:
    return _trees(view, autumn=True)


def _city(view: View) -> Picture:
    rng, base = view.rng, view.line + 38
    canvas = Image.fromarray(view.sky(0.2).clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(canvas)
    lights = view.time in ("night", "sunset", "foggy")
    for layer in range(2):
        x = -8
        while x < view.width:
            width, height = int(rng.uniform(30, 50)), rng.uniform(64, 132) * (1 - 0.3 * layer)
            wall = np.asarray(((148, 150, 164), (168, 140, 128), (104, 114, 138))[int(rng.integers(3))], np.float32)
            wall = view.lit(wall) * rng.uniform(0.85, 1.1) * (1 - 0.2 * layer)
            pencil.rectangle([x, base - height, x + width, base], fill=ink(wall))
            # panes wider than a latent, so that they can be drawn
            across = (width - 4) // 15
            first = x + (width - 15 * across + 5) // 2
            for y in np.arange(base - height + 7, base - 16, 18):
                for left in range(first, first + 15 * across, 15):
                    if rng.random() < 0.85:
                        pane = (255, 226, 130) if lights and rng.random() < 0.7 else wall * 0.6 + 46
                        pencil.rectangle([left, y, left + 9, y + 11], fill=ink(pane))
            x += width + int(rng.uniform(0, 5))
    picture = np.asarray(canvas).astype(np.float32)
    picture = view.land(picture, base - 5, (176, 174, 170), (176, 174, 170))
    picture = view.land(picture, base + 5, (104, 106, 114), (82, 84, 92), 0.10 * view.fractal(32, 3))
    columns = view.columns
    rows = view.rows
    depth = np.clip((rows - base) / (view.height - base), 0, 1)
    dashes = (np.abs(columns - view.width / 2) < 1 + 5 * depth) & (np.sin(18 * np.log(depth + 0.25)) > 0)
    return mix(picture, view.lit((240, 226, 160)), (dashes * (depth > 0.06)).astype(np.float32)[..., None])


def _snow(view: View) -> Picture:
    picture = view.sky(0.05)
    hills = view.line + view.ridge((2, 4), (1, 0.4)) * 12
    drifts = 0.07 * view.perspective(view.line, 4, 3) + 0.02 * view.fractal(32, 2)
    return view.land(picture, hills, (240, 245, 253), (208, 221, 241), drifts)


def _lake(view: View) -> Picture:
    """Hills mirrored in still water, behind a shore of grass."""
    rng, picture = view.rng, view.sky(0.03)
    hills = view.line - 10 - np.abs(view.ridge((3, 7, 19), (1, 0.5, 0.2))) * 34
    picture = view.land(picture, hills, (92, 132, 118), (52, 98, 80), 0.20 * view.fractal(20, 3))
    rows, columns = np.mgrid[0 : view.height, 0 : view.width]
    waves = view.perspective(view.line, 5, 6)
    above = np.clip(2 * int(view.line) - 1 - rows, 0, view.height - 1)
    mirrored = picture[above, np.clip(columns + np.round(4 * waves).astype(int), 0, view.width - 1)]
    water = (0.7 * mirrored + 0.3 * view.lit((36, 96, 124))) * (1 + 0.14 * waves)[..., None]
    picture = mix(picture, water, view.below(view.line))
    shore = view.line + rng.uniform(0.15, 0.22) * SIDE + view.ridge((2, 5), (1, 0.4)) * 9
    picture = view.land(picture, shore - 5, (150, 140, 116), (150, 140, 116), 0.15 * view.fractal(32, 2))
    return view.land(picture, shore, (122, 158, 84), (86, 126, 58), _grass(view))


def _canyon(view: View) -> Picture:
    """Banded red rock: flat tops far away, walls on both sides, and a floor of sand."""
    rng, picture = view.rng, view.sky(0.05)
    rows = view.rows
    bands = 0.16 * np.sin(rows * rng.uniform(0.3, 0.45) + 2.5 * view.fractal(4, 2)) + 0.12 * view.fractal(24, 3)
    steps = np.round(view.ridge((2, 5), (1, 0.6)) * 2.2) / 2.2
    tops = view.line - 14 - np.clip(steps + 0.5, 0, 1.4) * 40
    picture = view.land(picture, tops, (226, 142, 98), (196, 110, 74), 0.8 * bands)
    aside = np.abs(np.linspace(-1, 1, view.width, dtype=np.float32) + rng.uniform(-0.25, 0.25))
    walls = view.line + 24 - np.clip((aside - 0.5) * 4, 0, 1) * (104 + 22 * view.ridge((5, 12), (1, 0.5)))
    picture = view.land(picture, walls, (190, 96, 62), (142, 62, 44), 1.3 * bands)
    floor = view.line + 22 + view.ridge((2, 5), (1, 0.4)) * 6
    return view.land(picture, floor, (228, 168, 120), (198, 132, 88), 0.13 * view.perspective(view.line, 8, 4))


DRAW_OUTDOOR: dict[str, Callable[[View], Picture]] = {
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
    "lake": _lake,
    "canyon": _canyon,
}
"""Scene kind -> what draws it; `View.finish` comes after."""
