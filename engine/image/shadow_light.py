"""Shadow and Light: what the blended picture does to the layers, as two layers an artist can paint on.

The model's blended picture differs from the layers simply pasted over each other: a shadow under the apple, a warm rim
from the sunset. Both functions here turn that difference into a Shadow (multiply) and a Light (add) that lie on top of
the pasted layers.

* `exact_layers`: the stack composites to the blended picture, pixel for pixel. Right for this arrangement only.
* `clean_layers`: only what is soft and changes brightness rather than shape. Can be moved, painted on and turned down.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.compositing import composite, to_bytes, to_unit
from layerfusion.engine.image.layers import BlendMode, Pixels

Plane = NDArray[np.floating]

_GAMMA = 2.2
"""sRGB's curve as a power: a factor r in linear light is a factor r^(1/2.2) on stored values."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Of linear sRGB (IEC 61966-2-1)."""

_WORKING_SIDE = 512
"""`clean_layers` looks at pictures no longer than this: its results are softer than a pixel of that size."""

_REACH = 0.24
"""How far beside an object `clean_layers` believes in its shadow and glow by half, as a part of the longer side; wholly
up to 0.16, not at all from 0.32 on (our choice)."""

_REACH_GRID = 64
"""Cells along the longer side on which that distance is counted."""


def exact_layers(blended: Pixels, flat: Pixels) -> tuple[Pixels, Pixels]:
    """The Shadow and Light that turn `flat` into `blended` exactly.

    Per channel, with C of the flat picture and X of the blended one: S = 255 X / C, rounded, and L = 0 where X < C;
    S = 255 and L = X - C elsewhere (our choice). C S / 255 is within 1/2 of X, so that every pair comes out right.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the 8-bit composite of the very layers that lie below.

    Returns:
        (shadow, light): uint8 (H, W, 4), opaque; shadow is to be multiplied first, then light added.

    Raises:
        InvalidLayer: sizes differ, or a picture is not opaque.
    """
    _check_pair(blended, flat)
    target, base = blended[..., :3].astype(np.int32), flat[..., :3].astype(np.int32)
    darker = target < base
    shadow, light = np.full_like(blended, 255), np.full_like(blended, 255)
    shadow[..., :3] = np.where(darker, (510 * target + base) // np.maximum(2 * base, 1), 255)
    light[..., :3] = np.where(darker, 0, target - base)
    return shadow, light


def clean_layers(
    blended: Pixels, flat: Pixels, alpha: Plane | None = None, *, softness: float = 0.02
) -> tuple[Pixels, Pixels]:
    """The soft part of the difference between `blended` and `flat`, without their drawings (our choice throughout).

    1. The log-ratio of blended to flat per channel, in linear light: a shadow is a factor, whatever it falls on.
    2. A confidence per pixel. Low where the two drawings disagree (the contrast-structure term of SSIM, Wang et al.
       2004, on log luminance: another texture, a shifted outline) and where hue changes rather than brightness (one
       picture shows the object and the other the ground).
    3. A Gaussian blur weighted by that confidence; where it is scarce, and where the drawings disagree throughout, the
       result falls back to "no effect". Tint is blurred four times as wide as brightness: light has a colour, the
       drawings' own colours must stay out of it.
    4. Less than about 3 % is nothing: two decoded pictures never agree to the last percent. And nothing far from every
       object is its doing.
    5. Darkening becomes Shadow, brightening becomes Light, each with the least alpha that can hold it: transparent
       where there is no effect, dark (or bright) where there is, in the effect's own tint. Light is measured against
       the blurred flat picture, so that no drawing gets into it and bright texture is not burnt out.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the composite of the layers that lie below.
        alpha: (H, W), 0-1, of all objects together; None where it is not known: then effects may be anywhere.
        softness: standard deviation of the blur as a part of the longer side, above 0.

    Returns:
        (shadow, light): uint8 (H, W, 4), straight alpha; shadow is to be multiplied first, then light added.

    Raises:
        InvalidLayer: sizes differ, or a picture is not opaque.
    """
    _check_pair(blended, flat)
    height, width = flat.shape[:2]
    shrink = min(1.0, _WORKING_SIDE / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    sigma = softness * max(rows, columns)

    after, before = (_shrink(_to_linear(picture), rows, columns) for picture in (blended, flat))
    ratio = np.clip(np.log((after + 0.01) / (before + 0.01)), -2.3, 2.3)
    agreement = _agreement(after, before)
    weight = agreement * _achromatic(ratio)

    brightness = (np.log((after @ _LUMINANCE + 0.01) / (before @ _LUMINANCE + 0.01)))[..., None]

    def blurred(values: Plane, sigma: float) -> Plane:
        down, across = _gaussian(height, rows, sigma / rows), _gaussian(width, columns, sigma / columns)
        return _apply(down, across, values)

    def confident(values: Plane, sigma: float) -> Plane:
        trust = np.clip((blurred(agreement, sigma) - 0.25) / 0.35, 0, 1)
        return trust * blurred(weight * values, sigma) / (blurred(weight, sigma) + 0.05)

    effect = confident(brightness, sigma) + confident(ratio - brightness, 4 * sigma)
    effect = np.sign(effect) * np.maximum(np.abs(effect) - 0.03, 0)
    if alpha is not None:
        effect = effect * _near(alpha)
    factor = np.exp(effect / _GAMMA)

    ground = np.clip(blurred(before, sigma), 0, 0.99) ** (1 / _GAMMA)
    loss = 1 - np.minimum(factor, 1)
    room = 1 - ground  # what light can add before it burns out; a quarter of it is left
    gain = np.minimum(ground * (np.maximum(factor, 1) - 1), 0.75 * room)
    return _least_alpha(loss, loss, invert=True), _least_alpha(gain, gain / np.maximum(room, 0.25), invert=False)


def recompose(flat: Pixels, shadow: Pixels, light: Pixels) -> Pixels:
    """Multiply `shadow` and add `light` onto `flat`: what the stack shows. All uint8 (H, W, 4), straight alpha."""
    return composite(composite(flat, shadow, BlendMode.MULTIPLY), light, BlendMode.ADD)


def _check_pair(blended: Pixels, flat: Pixels) -> None:
    if blended.shape != flat.shape:
        raise InvalidLayer(
            f"The blended picture is {blended.shape[1]}x{blended.shape[0]} px, the flat one "
            f"{flat.shape[1]}x{flat.shape[0]} px.",
            "Both must have the canvas's size.",
        )
    if blended[..., 3].min() < 255 or flat[..., 3].min() < 255:
        raise InvalidLayer(
            "Shadow and Light were asked of a picture with holes.", "Give the stack an opaque background."
        )


def _to_linear(pixels: Pixels) -> Plane:
    return to_unit(pixels[..., :3]) ** _GAMMA


def _agreement(after: Plane, before: Plane) -> Plane:
    """(h, w, 1): 1 where two pictures draw the same, or nothing at all; towards 0 where their drawings differ."""
    first, second = (np.log(picture @ _LUMINANCE + 0.02)[..., None] for picture in (after, before))
    rows, columns = first.shape[:2]
    down, across = _gaussian(rows, rows, 2 / rows), _gaussian(columns, columns, 2 / columns)

    def covariance(a: Plane, b: Plane) -> Plane:
        return _apply(down, across, a * b) - _apply(down, across, a) * _apply(down, across, b)

    quiet = 0.08  # a variance of (28 %)²: weaker texture counts as none, and the soft edge of a shadow too
    contrast = covariance(first, first) + covariance(second, second)
    return np.clip((2 * covariance(first, second) + quiet) / (contrast + quiet), 0, 1)


def _achromatic(ratio: Plane) -> Plane:
    """(h, w, 1): 1 where all three channels change alike, towards 0 where the hue changes."""
    spread = ratio.max(axis=-1, keepdims=True) - ratio.min(axis=-1, keepdims=True)
    return np.exp(-((spread / 0.8) ** 2))


def _near(alpha: Plane) -> Plane:
    """(H, W, 1), 0-1: how far an object's shadow and glow may be believed in."""
    height, width = alpha.shape
    shrink = min(1.0, _REACH_GRID / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    near = _shrink((alpha > 0.1)[..., None].astype(np.float32), rows, columns)[..., 0] > 0
    reach = round(_REACH * max(rows, columns))
    for axis in (0, 1):
        edges = [(reach, reach) if way == axis else (0, 0) for way in (0, 1)]
        near = sliding_window_view(np.pad(near, edges), 2 * reach + 1, axis=axis).max(axis=-1)
    soft = 0.04 * max(rows, columns)
    down, across = _gaussian(height, rows, soft / rows), _gaussian(width, columns, soft / columns)
    return _apply(down, across, near[..., None].astype(np.float32))


def _least_alpha(colour: Plane, demand: Plane, *, invert: bool) -> Pixels:
    """The layer of least alpha, max of `demand` over the channels, whose premultiplied colour is `colour`, (H, W, 3).

    With `invert`, `colour` is what the layer takes away from white.
    """
    alpha = to_bytes(demand.max(axis=-1, keepdims=True))
    straight = np.clip(colour / np.maximum(to_unit(alpha), 1e-6), 0, 1)
    return np.where(alpha > 0, np.concatenate([to_bytes(1 - straight if invert else straight), alpha], axis=-1), 0)


def _shrink(picture: Plane, rows: int, columns: int) -> Plane:
    """The mean of what each of `rows` x `columns` covers, (H, W, 3) -> (rows, columns, 3)."""
    return _apply(_mean(rows, picture.shape[0]), _mean(columns, picture.shape[1]), picture)


def _mean(outputs: int, inputs: int) -> Plane:
    """(outputs, inputs): row i averages the inputs that output i covers."""
    edges = np.arange(outputs + 1) * (inputs / outputs)
    starts = np.arange(inputs)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return _normalised(np.maximum(overlap, 0))


def _gaussian(outputs: int, inputs: int, sigma: float) -> Plane:
    """(outputs, inputs): row i is a Gaussian around output i, `sigma` as a part of the whole length; rows sum to 1."""
    here, there = ((np.arange(count) + 0.5) / count for count in (outputs, inputs))
    return _normalised(np.exp(-((here[:, None] - there) ** 2) / (2 * sigma**2)))


def _normalised(matrix: NDArray[np.float64]) -> Plane:
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def _apply(down: Plane, across: Plane, picture: Plane) -> Plane:
    """A separable linear filter: (h', h), (w', w) on (h, w, C) -> (h', w', C)."""
    return np.einsum("ij,jkc,lk->ilc", down, picture, across, optimize=True)
