"""The Shadow and Light layers: the difference between the blended picture and the composited layers, as two layers.

The model's blended picture differs from the plain composite of the other layers, for example by a shadow under an apple
or a warm rim from the sunset. The pipeline uses the functions here to turn that difference into a Shadow layer (blend
mode multiply) and a Light layer (blend mode add) that lie on top of the stack.

* `exact_layers`: the stack composites to the blended picture, pixel for pixel. Valid only while no layer is moved.
* `clean_layers`: only the soft part of the difference, which changes brightness and not shape. An artist can move these
  layers, paint on them and lower their opacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.agreement import GAMMA
from layerfusion.engine.image.cast_shadow import ground_effect
from layerfusion.engine.image.compositing import composite, to_bytes
from layerfusion.engine.image.filters import Plane, area_mean, enlarge, gaussian_blur
from layerfusion.engine.image.layers import BlendMode, Pixels
from layerfusion.engine.image.object_tone import fit_tone

_LINEAR = ((np.arange(256) / 255) ** GAMMA).astype(np.float32)
"""Linear light of each stored value."""

_WORKING_SIDE = 256
"""`clean_layers` works on images with at most this longer side, in pixels: its results are softer than such a pixel."""

_SMOOTH = 0.02
"""The blur of the flat image from which Light is made, so that no drawing gets into it."""

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


def clean_layers(blended: Pixels, flat: Pixels, objects: Sequence[Plane]) -> CleanLayers:
    """Compute soft Shadow and Light layers that never repaint what the layers show (our choice throughout).

    On an object they hold one smooth change of tone (`object_tone`), beside it the shadow and the glow that it causes
    (`cast_shadow`), and elsewhere nothing. Where the blended picture's own drawing of objects and ground disagrees with
    the layers, the disagreement is not taken for shadow.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the composite of the layers below.
        objects: the alpha of each foreground on the canvas, bottom first: float (H, W), 0-1.

    Raises:
        InvalidLayer: the sizes differ, or an image is not opaque.
    """
    _check_pair(blended, flat)
    height, width = flat.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    after, before = (area_mean(_LINEAR[picture[..., :3]], rows, columns) for picture in (blended, flat))
    covers = [area_mean(np.asarray(alpha, np.float32)[..., None], rows, columns)[..., 0] for alpha in objects]
    effect = np.zeros((height, width, 3), np.float32)
    tones = [fit_tone(after, before, seen) for seen in _seen(covers)]
    if covers:
        ground = ground_effect(after, before, covers, max(tone.trust or 0.0 for tone in tones))
        effect += enlarge(ground[..., None], height, width)
    for alpha, tone in zip(objects, tones, strict=True):
        weight = np.asarray(alpha, np.float32)[..., None]
        effect = effect * (1 - weight) + enlarge(tone.log_gain, height, width) * weight
    factor = np.exp(effect / GAMMA)
    smooth = enlarge(np.clip(gaussian_blur(before, _SMOOTH), 0, 0.99) ** (1 / GAMMA), height, width)
    gain = np.minimum(smooth * (np.maximum(factor, 1) - 1), _LIGHT_ROOM * (1 - smooth))
    return CleanLayers(_shadow(1 - np.minimum(factor, 1)), _light(gain), tuple(tone.trust for tone in tones))


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


def _shadow(loss: Plane) -> Pixels:
    """The layer that takes `loss` (H, W, 3), 0-1, away when it is multiplied, with the least alpha that can.

    Below an alpha of 32 the tint fades to grey: eight bits cannot hold it there, and a painter who picks the layer's
    colour would find a saturated one.
    """
    strength = loss.max(axis=-1, keepdims=True)
    grey = loss.mean(axis=-1, keepdims=True)
    loss = grey + np.clip((strength * 255 - 8) / 24, 0, 1) * (loss - grey)
    strength = loss.max(axis=-1, keepdims=True)
    alpha, colour = to_bytes(strength), to_bytes(1 - loss / np.maximum(strength, 1e-6))
    return np.where(alpha > 0, np.concatenate([colour, alpha], axis=-1), 0).astype(np.uint8)


def _light(gain: Plane) -> Pixels:
    """The opaque layer that adds `gain` (H, W, 3), 0-1; black where it adds nothing."""
    return np.concatenate([to_bytes(gain), np.full((*gain.shape[:2], 1), 255, np.uint8)], axis=-1)
