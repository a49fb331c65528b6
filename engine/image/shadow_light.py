"""The Shadow and Light layers: the difference between the blended picture and the composited layers, as two layers.

The model's blended picture differs from the plain composite of the other layers, for example by a shadow under an apple
or a warm rim from the sunset. The pipeline uses the functions here to turn that difference into a Shadow layer (blend
mode multiply) and a Light layer (blend mode add) that lie on top of the stack.

* `exact_layers`: the stack composites to the blended picture, pixel for pixel. Valid only while no layer is moved.
* `clean_layers`: only the soft part of the difference, which changes brightness and not shape. An artist can move these
  layers, paint on them and lower their opacity.
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
"""The sRGB transfer curve as a power law: a factor r in linear light is a factor r^(1/2.2) on stored values."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear sRGB channels in luminance (IEC 61966-2-1)."""

_WORKING_SIDE = 512
"""`clean_layers` works on images with at most this longer side, in pixels: its results are softer than such a pixel."""

_REACH = 0.24
"""Distance from the nearest object at which `clean_layers` halves an effect, as a fraction of the longer side. The
effect is kept whole up to 0.16 and removed from 0.32 on (our choice)."""

_REACH_GRID = 64
"""Cells along the longer side of the grid on which that distance is measured."""


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


def clean_layers(
    blended: Pixels, flat: Pixels, alpha: Plane | None = None, *, softness: float = 0.02
) -> tuple[Pixels, Pixels]:
    """Compute Shadow and Light from the soft part of the difference between `blended` and `flat`, without texture or
    outlines of either image (our choice throughout).

    1. Take the log-ratio of blended to flat per channel, in linear light: a shadow multiplies whatever it falls on.
    2. Compute a confidence per pixel. It is low where texture or outlines of the two images differ (the
       contrast-structure term of SSIM, Wang et al. 2004, on log luminance) and where hue changes rather than brightness
       (one image shows the object, the other shows the ground).
    3. Blur the log-ratio with a Gaussian, weighted by that confidence. Where confidence is low in the whole
       neighbourhood, the result falls back to "no effect". Tint is blurred four times as wide as brightness: light may
       have a colour, but the colours of the drawn things must not appear in it.
    4. Remove effects below about 3 %, because two decoded images never agree more closely, and effects far from every
       object, because no object can have caused them.
    5. Darkening becomes Shadow and brightening becomes Light, each with the least alpha that can represent it:
       transparent where there is no effect, dark (or bright) elsewhere, in the effect's tint. Light is computed from
       the blurred flat image, so that it contains no texture and does not clip bright texture to white.

    Args:
        blended: uint8 (H, W, 4), opaque.
        flat: uint8 (H, W, 4), opaque: the composite of the layers below.
        alpha: (H, W), 0-1, of all objects together; None if it is unknown, in which case effects may lie anywhere.
        softness: standard deviation of the blur as a fraction of the longer side, above 0.

    Returns:
        (shadow, light): uint8 (H, W, 4), straight alpha. Shadow is to be multiplied first, then Light added.

    Raises:
        InvalidLayer: the sizes differ, or an image is not opaque.
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

    def weighted_blur(values: Plane, sigma: float) -> Plane:
        confidence = np.clip((blurred(agreement, sigma) - 0.25) / 0.35, 0, 1)
        return confidence * blurred(weight * values, sigma) / (blurred(weight, sigma) + 0.05)

    effect = weighted_blur(brightness, sigma) + weighted_blur(ratio - brightness, 4 * sigma)
    effect = np.sign(effect) * np.maximum(np.abs(effect) - 0.03, 0)
    if alpha is not None:
        effect = effect * _near(alpha)
    factor = np.exp(effect / _GAMMA)

    ground = np.clip(blurred(before, sigma), 0, 0.99) ** (1 / _GAMMA)
    loss = 1 - np.minimum(factor, 1)
    headroom = 1 - ground  # what Light can add before the value clips at white; it uses at most 3/4 of this
    gain = np.minimum(ground * (np.maximum(factor, 1) - 1), 0.75 * headroom)
    return _least_alpha(loss, loss, invert=True), _least_alpha(gain, gain / np.maximum(headroom, 0.25), invert=False)


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


def _to_linear(pixels: Pixels) -> Plane:
    return to_unit(pixels[..., :3]) ** _GAMMA


def _agreement(after: Plane, before: Plane) -> Plane:
    """(h, w, 1): 1 where two images have the same texture, or none at all; towards 0 where their textures differ."""
    first, second = (np.log(picture @ _LUMINANCE + 0.02)[..., None] for picture in (after, before))
    rows, columns = first.shape[:2]
    down, across = _gaussian(rows, rows, 2 / rows), _gaussian(columns, columns, 2 / columns)

    def covariance(a: Plane, b: Plane) -> Plane:
        return _apply(down, across, a * b) - _apply(down, across, a) * _apply(down, across, b)

    floor = 0.08  # a variance of (28 %)²: weaker texture, such as the soft edge of a shadow, counts as none
    contrast = covariance(first, first) + covariance(second, second)
    return np.clip((2 * covariance(first, second) + floor) / (contrast + floor), 0, 1)


def _achromatic(ratio: Plane) -> Plane:
    """(h, w, 1): 1 where all three channels change by the same factor, towards 0 where the hue changes."""
    spread = ratio.max(axis=-1, keepdims=True) - ratio.min(axis=-1, keepdims=True)
    return np.exp(-((spread / 0.8) ** 2))


def _near(alpha: Plane) -> Plane:
    """(H, W, 1), 0-1: 1 near an object, where an effect may be its shadow or glow; 0 far from every object."""
    height, width = alpha.shape
    shrink = min(1.0, _REACH_GRID / max(height, width))
    rows, columns = max(1, round(height * shrink)), max(1, round(width * shrink))
    near = _shrink((alpha > 0.1)[..., None].astype(np.float32), rows, columns)[..., 0] > 0
    reach = round(_REACH * max(rows, columns))
    for axis in (0, 1):
        margins = [(reach, reach) if dimension == axis else (0, 0) for dimension in (0, 1)]
        near = sliding_window_view(np.pad(near, margins), 2 * reach + 1, axis=axis).max(axis=-1)
    soft = 0.04 * max(rows, columns)
    down, across = _gaussian(height, rows, soft / rows), _gaussian(width, columns, soft / columns)
    return _apply(down, across, near[..., None].astype(np.float32))


def _least_alpha(colour: Plane, needed_alpha: Plane, *, invert: bool) -> Pixels:
    """The layer whose premultiplied colour is `colour`, with the least possible alpha.

    Args:
        colour: (H, W, 3), 0-1; with `invert`, it is the difference of the premultiplied colour from white.
        needed_alpha: (H, W, 3), 0-1: the alpha that each channel needs; the layer's alpha is their maximum.

    Returns:
        uint8 (H, W, 4), straight alpha.
    """
    alpha = to_bytes(needed_alpha.max(axis=-1, keepdims=True))
    straight = np.clip(colour / np.maximum(to_unit(alpha), 1e-6), 0, 1)
    return np.where(alpha > 0, np.concatenate([to_bytes(1 - straight if invert else straight), alpha], axis=-1), 0)


def _shrink(picture: Plane, rows: int, columns: int) -> Plane:
    """Shrink (H, W, C) to (rows, columns, C): each value is the mean of the pixels that its cell covers."""
    return _apply(_mean(rows, picture.shape[0]), _mean(columns, picture.shape[1]), picture)


def _mean(outputs: int, inputs: int) -> Plane:
    """(outputs, inputs) matrix whose row i averages the inputs that output i covers."""
    edges = np.arange(outputs + 1) * (inputs / outputs)
    starts = np.arange(inputs)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    return _normalised(np.maximum(overlap, 0))


def _gaussian(outputs: int, inputs: int, sigma: float) -> Plane:
    """(outputs, inputs) matrix whose row i is a Gaussian around output i; rows sum to 1.

    `sigma` is a fraction of the whole length.
    """
    centres, positions = ((np.arange(count) + 0.5) / count for count in (outputs, inputs))
    return _normalised(np.exp(-((centres[:, None] - positions) ** 2) / (2 * sigma**2)))


def _normalised(matrix: NDArray[np.float64]) -> Plane:
    return (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def _apply(down: Plane, across: Plane, picture: Plane) -> Plane:
    """Apply a separable linear filter, (h', h) and (w', w), to (h, w, C); the result is (h', w', C)."""
    return np.einsum("ij,jkc,lk->ilc", down, picture, across, optimize=True)
