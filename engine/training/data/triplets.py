"""One training example: a foreground, a background, and the picture of both in one light.

The composite is the background, darkened by the object's contact and cast shadow, under the object tinted by the
scene's light. What was done is kept with the example: it is the truth that tone and shadow are measured against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from layerfusion.engine.training.data import arbitrary
from layerfusion.engine.training.data.paint import SIDE, Canvas
from layerfusion.engine.training.data.scenes import Light, Scene, backdrop, draw_scene
from layerfusion.engine.training.data.sprites import SpriteLibrary
from layerfusion.engine.training.data.vocabulary import (
    NAMELESS,
    OUTDOOR,
    TIMES,
    is_held_out,
    thing_of,
    with_article,
)

TINTED = 0.65
"""How much of the scene's tint an object takes on."""


@dataclass(frozen=True)
class Triplet:
    """One example; pictures are uint8, (height, width, channels).

    Attributes:
        foreground: RGBA, straight alpha, in its own light.
        studio: RGB, the object before a plain backdrop of any colour: what a base model makes of its name alone.
        background: RGB.
        composite: RGB.
        shadow: uint8 (height, width), 255 where the ground is darkened by the full strength.
        names: the objects, bottom first.
        kind: the scene's kind.
        captions: of foreground, background and composite; of several objects the upper one is named first.
        light: the scene's.
        tinted: whether the foreground has the scene's tint already.
    """

    foreground: NDArray[np.uint8]
    studio: NDArray[np.uint8]
    background: NDArray[np.uint8]
    composite: NDArray[np.uint8]
    shadow: NDArray[np.uint8]
    names: tuple[str, ...]
    kind: str
    captions: tuple[str, str, str]
    light: Light
    tinted: bool = False

    @property
    def tint(self) -> tuple[float, float, float]:
        """What the foreground's colours are multiplied with in the composite."""
        if self.tinted:
            return 1.0, 1.0, 1.0
        red, green, blue = (1 - TINTED + TINTED * channel for channel in self.light.tint)
        return red, green, blue


def enumerated(things: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = things
    return f"{', '.join(first)} and {last}" if first else last


def preposition(background: str) -> str:
    """How captions join an object to a scene."""
    if any(word in background for word in ("mountains", "ocean")):
        return "in front of"
    return (
        "on"
        if any(word in background for word in ("studio", "beach", "shore", "table", "street", "moon", "floor"))
        else "in"
    )


def make_triplet(
    rng: np.random.Generator,
    sprites: SpriteLibrary,
    name: str,
    *,
    kind: str = "",
    time: str = "",
    others: tuple[str, ...] = (),
    small: bool = False,
    tinted: bool = False,
    native: int = 128,
    form: tuple[int, int] = (1, 1),
) -> Triplet:
    """Draw one example.

    Args:
        name: the object; one of `NAMELESS` is drawn anew, of any outline and material.
        kind, time: of the scene; drawn by lot where empty, never a pair that is held out.
        others: further objects: one beside it or half before it, more side by side in different sizes; all of them
            are then one foreground.
        small: whether one object stands further away than usual, as one that was scaled down does.
        tinted: whether foreground and studio show the object in the scene's light, as one does that was cut out of a
            picture or relit; else in its own.
        native: shorter side of the finished pictures, in pixels, at most `SIDE`.
        form: width and height in shorter sides. A wider picture shows more of its scene, and no more objects.
    """
    kind = kind or _kind_for(rng, name, sprites.vocabulary.kinds)
    time = time or str(rng.choice(list(TIMES), p=(0.26, 0.2, 0.13, 0.17, 0.12, 0.12)))
    width, height = (SIDE * sides for sides in form)
    scene = draw_scene(rng, kind, time if kind in OUTDOOR else "", width=width, height=height)
    names = (name, *others)
    layer, shade = _placed(rng, sprites, names, scene, small)
    alpha = np.asarray(layer.getchannel("A"), np.float32)[..., None] / 255
    colour = np.asarray(layer.convert("RGB"), np.float32)
    lit = colour * np.asarray([1 - TINTED + TINTED * channel for channel in scene.light.tint], np.float32)
    ground = scene.pixels * (1 - scene.light.strength * shade[..., None])
    composite = (ground * (1 - alpha) + lit * alpha).clip(0, 255)
    if tinted:
        colour = lit.clip(0, 255)
        layer = Image.fromarray(np.dstack([colour, alpha * 255]).round().astype(np.uint8), "RGBA")
    plain = backdrop(Canvas(rng, width, height), _any_colour(rng)) * (
        1 - 0.4 * _contact(layer)[..., None] * (rng.random() < 0.7)
    )
    studio = (plain * (1 - alpha) + colour * alpha).clip(0, 255)
    things = enumerated([with_article(one) for one in reversed(names)])
    joint = preposition(scene.caption) if rng.random() < 0.6 else "on"
    return Triplet(
        foreground=_reduced_rgba(layer, native),
        studio=_reduced(studio, native),
        background=_reduced(scene.pixels, native),
        composite=_reduced(composite, native),
        shadow=_reduced_shade(shade, native),
        names=names,
        kind=kind,
        captions=(things, scene.caption, f"{things} {joint} {scene.caption}"),
        light=scene.light,
        tinted=tinted,
    )


def _kind_for(rng: np.random.Generator, name: str, kinds: tuple[str, ...]) -> str:
    weights = np.asarray([1.0 if kind in OUTDOOR else 0.75 for kind in kinds])
    weights *= [not is_held_out(name, kind) for kind in kinds]
    return str(rng.choice(kinds, p=weights / weights.sum()))


def _placed(
    rng: np.random.Generator, sprites: SpriteLibrary, names: tuple[str, ...], scene: Scene, small: bool
) -> tuple[Image.Image, NDArray[np.floating]]:
    """The objects on an empty canvas of the scene's size, and the shadow they cast (height, width), 0-1."""
    high, wide = scene.pixels.shape[:2]
    layer = Image.new("RGBA", (wide, high), (0, 0, 0, 0))
    shade = np.zeros((high, wide), np.float32)
    sizes, places = _arrangement(rng, len(names), small, wide / SIDE)
    for name, side, across in zip(names, sizes, places, strict=True):
        alone = Image.new("RGBA", (wide, high), (0, 0, 0, 0))
        sprite = arbitrary.draw(rng) if name in NAMELESS else sprites.get(name)
        scale = side * SIDE / max(sprite.size)
        sprite = sprite.resize(
            (max(1, int(sprite.width * scale)), max(1, int(sprite.height * scale))), Image.Resampling.LANCZOS
        )
        free_x, free_y = wide - sprite.width - 8, high - sprite.height - 8
        floats = thing_of(name, sprites.vocabulary.things)[1].floats
        down = rng.uniform(0.3, 0.75) if floats else rng.uniform(0.62 if small else 0.74, 1.0)
        alone.paste(sprite, (4 + int(across * free_x), 4 + int(down * free_y)))
        if not floats:
            shade = np.maximum(shade, _shadow(alone, scene.light))
        layer = Image.alpha_composite(layer, alone)
    return layer, shade


def _arrangement(rng: np.random.Generator, count: int, small: bool, breadths: float) -> tuple[list[float], list[float]]:
    """Sizes, in shorter sides, and places across the frame, 0-1: one object, two side by side or overlapping, or more
    in a row, the largest up to three times the smallest; small ones stand further away.

    Args:
        breadths: how many shorter sides the frame is wide.
    """
    if count > 2:
        sizes = rng.uniform(0.5, 1.5, count)
        sizes *= (rng.uniform(0.4, 0.7) if small else rng.uniform(0.7, 0.85)) / sizes.sum()
        lefts = np.cumsum(sizes) - sizes + np.arange(count) * (0.94 - sizes.sum()) / (count - 1)
        across = [float(left / (1 - size - 8 / SIDE)) for left, size in zip(lefts, sizes, strict=True)]
        return list(np.minimum(sizes * breadths, 0.74)), across
    if count == 1 and small:
        return [rng.uniform(0.2, 0.52)], [rng.uniform(0.0, 1.0)]
    if count == 1:
        return [rng.uniform(0.5, 0.74)], [rng.uniform(0.2, 0.8)]
    if small or rng.random() < 0.5:
        sizes = rng.uniform(0.2, 0.36, 2) if small else rng.uniform(0.24, 0.46, 2)
        return list(sizes), [rng.uniform(0.0, 0.12), rng.uniform(0.88, 1.0)]
    left = rng.uniform(0.0, 0.35)
    places = [left, left + rng.uniform(0.3, 0.6) / breadths]
    return list(rng.uniform(0.42, 0.58, 2)), places if rng.random() < 0.5 else places[::-1]


def shade_of(outline: Image.Image, light: Light) -> NDArray[np.floating]:
    """The shadow an object of this outline casts where it stands: what generated pictures are measured against.

    Args:
        outline: mode L, the object's alpha on a picture of any size.
        light: of the scene.

    Returns:
        (H, W) of the outline's size, 0-1: 1 where the ground is darkened by the light's full strength.
    """
    scale = SIDE / min(outline.size)
    drawn = (round(outline.width * scale), round(outline.height * scale))
    layer = Image.new("RGBA", drawn)
    layer.putalpha(outline.resize(drawn, Image.Resampling.BILINEAR))
    shade = Image.fromarray((_shadow(layer, light).clip(0, 1) * 255).astype(np.uint8))
    return np.asarray(shade.resize(outline.size, Image.Resampling.BOX), np.float32) / 255


def _shadow(layer: Image.Image, light: Light) -> NDArray[np.floating]:
    """A soft contact shadow, and the outline laid on the ground away from the light."""
    shade = _contact(layer)
    if light.length == 0:
        return shade
    box = layer.getchannel("A").getbbox()
    if box is None:
        return shade
    left, top, _right, bottom = box
    outline = layer.getchannel("A").crop(box)
    lying = max(4, int((bottom - top) * 0.32 * light.length) + 4)
    outline = outline.resize((outline.width, lying), Image.Resampling.BOX)
    shift = light.direction * light.length * (bottom - top) * 0.7
    # each row of the lying outline moves further away from the light, the higher it stood
    outline = outline.transform(
        layer.size,
        Image.Transform.AFFINE,
        (1, shift / lying, -left - shift * (bottom + 2) / lying, 0, 1, -(bottom + 2 - lying)),
        resample=Image.Resampling.BILINEAR,
    )
    cast = np.asarray(outline.filter(ImageFilter.GaussianBlur(3.5)), np.float32) / 255
    return np.maximum(shade, 0.8 * cast)


def _contact(layer: Image.Image) -> NDArray[np.floating]:
    """A soft ellipse under the object, (height, width), 0-1."""
    box = layer.getchannel("A").getbbox()
    if box is None:
        return np.zeros(layer.size[::-1], np.float32)
    left, top, right, bottom = box
    rows, columns = np.mgrid[0 : layer.height, 0 : layer.width].astype(np.float32)
    wide, high = (right - left) * 0.5, max(8.0, (bottom - top) * 0.075)
    ellipse = np.clip(1.3 - np.hypot((columns - (left + right) / 2) / wide, (rows - bottom + 3) / high), 0, 1)
    soft = Image.fromarray((ellipse * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    return np.asarray(soft, np.float32) / 255


def _any_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """A backdrop colour: any hue, far enough from mid-grey that grey padding cannot be mistaken for it."""
    while True:
        red, green, blue = (float(channel) for channel in rng.uniform(20, 245, 3))
        if max(abs(channel - 127.5) for channel in (red, green, blue)) > 50:
            return red, green, blue


def _size(width: int, height: int, native: int) -> tuple[int, int]:
    """Width and height of the finished picture."""
    return width * native // SIDE, height * native // SIDE


def _reduced(pixels: NDArray[np.floating], native: int) -> NDArray[np.uint8]:
    picture = Image.fromarray(pixels.astype(np.uint8))
    return np.asarray(picture.resize(_size(*picture.size, native), Image.Resampling.LANCZOS))


def _reduced_shade(shade: NDArray[np.floating], native: int) -> NDArray[np.uint8]:
    picture = Image.fromarray((shade.clip(0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.resize(_size(*picture.size, native), Image.Resampling.BOX))


def _reduced_rgba(layer: Image.Image, native: int) -> NDArray[np.uint8]:
    """Reduced in premultiplied form, so that no colour of invisible pixels shows at the edges."""
    smaller = layer.convert("RGBa").resize(_size(*layer.size, native), Image.Resampling.LANCZOS)
    return np.asarray(smaller.convert("RGBA"))
