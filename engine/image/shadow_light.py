"""The Shadow and Light layers: the difference between the blended picture and the composited layers, as two layers.

The model's blended picture differs from the plain composite of the other layers, for example by a shadow under an apple
or a warm rim from the sunset. The pipeline uses the functions here to turn that difference into a Shadow layer (blend
mode multiply) and a Light layer (blend mode add) that lie on top of the stack.

* `exact_layers`: the stack composites to the blended picture, pixel for pixel. Valid only while no layer is moved.
* `clean_layers`: only the soft part of the difference, which changes brightness and not shape. An artist can move these
  layers, paint on them and lower their opacity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.agreement import GAMMA
from layerfusion.engine.image.bands import Planes, across, down
from layerfusion.engine.image.cast_shadow import ground_effect
from layerfusion.engine.image.compositing import composite, to_bytes
from layerfusion.engine.image.filters import Plane, enlargement, gaussian_blur
from layerfusion.engine.image.layers import BlendMode, Pixels
from layerfusion.engine.image.object_tone import fit_tone
from layerfusion.engine.image.reduction import alpha_mean, linear_mean, unit_alpha

_WORKING_SIDE = 256
"""`clean_layers` works on images with at most this longer side, in pixels: its results are softer than such a pixel."""

_SMOOTH = 0.02
"""The blur of the flat image from which Light is made, so that no drawing gets into it."""

_SEEN_AT = 10
"""A translucent object is left alone wholly from alpha 1 / 10 on."""

_LIGHT_ROOM = 0.75
"""The part of the way to white that Light may go at most."""


@dataclass(frozen=True, eq=False)
class CleanLayers:
    """What `clean_layers` returns.

    Attributes:
        shadow: uint8 (H, W, 4), straight alpha, to be multiplied; wholly transparent where it does nothing.
        light: uint8 (H, W, 4), opaque, to be added after it; black where it does nothing. Programs that clip before
            they apply alpha show an opaque layer as others do.
        trust: for each object, 0-1, how far the blended picture shows it as its layer does. At 0 its tone is left
            alone; so it is at None, where too little of the object is seen or opaque to tell.
    """

    shadow: Pixels
    light: Pixels
    trust: tuple[float | None, ...]


def exact_layers(blended: Pixels, flat: Pixels) -> tuple[Pixels, Pixels]:
    """Compute the Shadow and Light layers that turn `flat` into `blended` exactly.

    Per channel, with the value C of the flat image and X of the blended picture: where X < C, S = 255 X / C, rounded,
    and L = 0; elsewhere S = 255 and L = X - C (our choice). C S / 255 lies within 1/2 of X, so that it rounds to X for
    every pair of values.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the 8-bit composite of exactly the layers below.

    Returns:
        (shadow, light): uint8 (H, W, 4), opaque. Shadow is to be multiplied first, then Light added.

    Raises:
        InvalidLayer: the sizes differ, or an image is not opaque.
    """
    _check_pair(blended, flat)
    target, base = blended[..., :3].astype(np.int32), flat[..., :3].astype(np.int32)
    darker = target < base
    shadow, light = np.full_like(blended, 255), np.full_like(blended, 255)
    shadow[..., :3] = np.where(darker, (510 * target + base) // np.maximum(2 * base, 1), 255)
    light[..., :3] = np.where(darker, 0, target - base)
    return shadow, light


def clean_layers(blended: Pixels, flat: Pixels, objects: Sequence[Plane | NDArray[np.uint8]]) -> CleanLayers:
    """Compute soft Shadow and Light layers that never repaint what the layers show (our choice throughout).

    On an object they hold one smooth change of tone (`object_tone`), beside it the shadow and the glow that it causes
    (`cast_shadow`), and elsewhere nothing. Where the blended picture's own drawing of objects and ground disagrees with
    the layers, the disagreement is not taken for shadow.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the composite of the layers below.
        objects: the alpha of each foreground on the canvas, bottom first: float (H, W), 0-1, or uint8 (H, W).

    Raises:
        InvalidLayer: the sizes differ, or an image is not opaque.
    """
    _check_pair(blended, flat)
    height, width = flat.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    after, before = (linear_mean(picture, rows, columns) for picture in (blended, flat))
    covers = [alpha_mean(alpha, rows, columns) for alpha in objects]
    tones = [fit_tone(after, before, seen) for seen in _seen(covers)]
    ground = np.zeros((rows, columns), np.float32)
    if covers:
        ground = ground_effect(after, before, covers, max(tone.trust or 0.0 for tone in tones))
    smooth = np.clip(gaussian_blur(before, _SMOOTH), 0, 0.99) ** (1 / GAMMA)
    shadow, light = np.zeros_like(flat), np.zeros_like(flat)
    light[..., 3] = 255
    solid = [tone.trust is not None for tone in tones]
    work = _Enlarging(height, width, ground, [tone.log_gain for tone in tones], solid, smooth)
    for part in work.parts(objects):
        effect = work.effect(part, objects)
        factor = np.exp(effect / np.float32(GAMMA))
        shadow[part] = _shadow(1 - np.minimum(factor, 1))
        if factor.max() > 1:
            flat_light = work.smooth(part)
            gain = np.minimum(flat_light * (np.maximum(factor, 1) - 1), _LIGHT_ROOM * (1 - flat_light))
            light[part][..., :3] = to_bytes(gain).transpose(1, 2, 0)
    return CleanLayers(shadow, light, tuple(tone.trust for tone in tones))


Part = tuple[slice, slice]
"""Rows and columns of the canvas."""


class _Enlarging:
    """Brings what was found at working size to the canvas, where it does something.

    Args:
        height, width: the canvas.
        ground: (h, w), natural logarithm of the factor on the ground.
        gains: (h, w, 3) for each object, bottom first.
        solid: for each object, whether it has opaque parts. What shows through one that has none is left alone, since
            a shadow with an edge inside glass looks like a drawing in it.
        smooth: (h, w, 3), stored values of the flat image without its drawing.
    """

    def __init__(
        self, height: int, width: int, ground: Plane, gains: Sequence[Plane], solid: Sequence[bool], smooth: Plane
    ) -> None:
        rows, columns = ground.shape
        self._down, self._across = enlargement(rows, height), enlargement(columns, width)
        self._ground = ground[None]
        self._gains = [np.ascontiguousarray(gain.transpose(2, 0, 1)) for gain in gains]
        self._weights = [1 if opaque else _SEEN_AT for opaque in solid]
        self._smooth = np.ascontiguousarray(smooth.transpose(2, 0, 1))

    def parts(self, objects: Sequence[Plane | NDArray[np.uint8]]) -> Iterator[Part]:
        """The parts of the canvas outside which no layer does anything."""
        active = self._ground[0] != 0
        changing = [alpha for alpha, gain in zip(objects, self._gains, strict=True) if gain.any()]
        for rows in self._down.blocks():
            near = active[self._down.reach(rows)].any(axis=0)

            def acts(columns: slice, rows: slice = rows, near: NDArray[np.bool_] = near) -> bool:
                return bool(near[self._across.reach(columns)].any() or any(a[rows, columns].any() for a in changing))

            for found, blocks in groupby(self._across.blocks(), acts):
                first, *_, last = [*blocks] * 2
                if found:
                    yield rows, slice(first.start, last.stop)

    def effect(self, part: Part, objects: Sequence[Plane | NDArray[np.uint8]]) -> Planes:
        """Natural logarithm of the factor on linear light, (3, rows, columns): each object's tone lies over what is
        below it."""
        effect = np.repeat(self._large(self._ground, part), 3, axis=0)
        for alpha, gain, slope in zip(objects, self._gains, self._weights, strict=True):
            weight = np.minimum(slope * unit_alpha(alpha[part]), 1)
            if weight.any():
                effect += (self._large(gain, part) - effect) * weight
        return effect

    def smooth(self, part: Part) -> Planes:
        """Stored values of the flat image without its drawing, (3, rows, columns)."""
        return self._large(self._smooth, part)

    def _large(self, planes: Planes, part: Part) -> Planes:
        rows, columns = part
        wide = self._across.reach(columns)
        near = planes[:, self._down.reach(rows), wide]
        return across(self._across, down(self._down, near, rows), columns, wide.start)


def _seen(covers: Sequence[Plane]) -> list[Plane]:
    """What of each object is not hidden by those above it, (h, w), 0-1; `covers` is bottom first."""
    uncovered, seen = np.float32(1), []
    for cover in reversed(covers):
        seen.append(cover * uncovered)
        uncovered = uncovered * (1 - cover)
    return seen[::-1]


def recompose(flat: Pixels, shadow: Pixels, light: Pixels) -> Pixels:
    """Multiply `shadow` onto `flat`, then add `light`, as the stack does. All uint8 (H, W, 4), straight alpha."""
    return composite(composite(flat, shadow, BlendMode.MULTIPLY), light, BlendMode.ADD)


def _check_pair(blended: Pixels, flat: Pixels) -> None:
    if blended.shape != flat.shape:
        raise InvalidLayer(
            f"The blended picture has {blended.shape[1]}x{blended.shape[0]} px, but the composited layers have "
            f"{flat.shape[1]}x{flat.shape[0]} px.",
            "Give both the canvas's size.",
        )
    if blended[..., 3].min() < 255 or flat[..., 3].min() < 255:
        raise InvalidLayer(
            "Shadow and Light cannot be computed for an image with transparent pixels.",
            "Give the stack an opaque background.",
        )


def _shadow(loss: Planes) -> Pixels:
    """The layer that takes `loss` (3, H, W), 0-1, away when it is multiplied, with the least alpha that can.

    Below an alpha of 32 the tint fades to grey: eight bits cannot hold it there, and a painter who picks the layer's
    colour would find a saturated one.
    """
    grey = loss.mean(axis=0)
    loss = grey + np.clip((loss.max(axis=0) * 255 - 8) / 24, 0, 1) * (loss - grey)
    strength = loss.max(axis=0)
    result = np.empty((*strength.shape, 4), np.uint8)
    result[..., :3] = to_bytes(1 - loss / np.maximum(strength, 1e-6)).transpose(1, 2, 0)
    result[..., 3] = to_bytes(strength)
    np.copyto(result.view(np.uint32)[..., 0], 0, where=result[..., 3] == 0)
    return result
