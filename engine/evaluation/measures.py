"""The measures: pure functions from images to one number, in numpy.

Images are uint8 (H, W, 4), sRGB, straight alpha, unless stated otherwise. Ratios are computed on stored sRGB values,
because the training data of the embedded model applies its light to these. A measure that does not apply is NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.evaluation.regions import (
    MARGIN,
    SEEN,
    SOLID,
    Mask,
    Plane,
    beside,
    box_of,
    core,
    grown,
    undisturbed,
)
from layerfusion.engine.evaluation.statistics import ranks
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.image.shadow_light import clean_layers, exact_layers, recompose
from layerfusion.engine.stack import LayerStack

Colour = NDArray[np.float64]
"""(3,): one value per channel."""

NO_SHIFT = 0.01
"""A colour shift below one percent is rounding and has no direction."""

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of the stored channels in luma (ITU-R BT.601)."""


def alpha_of(pixels: Pixels) -> Plane:
    """The alpha channel as float64 (H, W), 0-1."""
    return pixels[..., 3] / 255.0


def signed_rgb(pixels: Pixels) -> NDArray[np.float32]:
    """The stored colours as float32 (H, W, 3), -1..1, which is the classifier's input; alpha is ignored."""
    return pixels[..., :3].astype(np.float32) / np.float32(127.5) - np.float32(1)


def over_grey(pixels: Pixels) -> NDArray[np.float32]:
    """The image composited over mid-grey as float32 (H, W, 3), -1..1."""
    return (signed_rgb(pixels) * alpha_of(pixels)[..., None]).astype(np.float32)


def luma(pixels: Pixels) -> Plane:
    """The luma of the stored colours as float64 (H, W), 0-1; alpha is ignored."""
    return pixels[..., :3] @ _LUMA / 255.0


def pasted(background: Pixels, foreground: Pixels) -> Pixels:
    """The foreground alpha-composited over the background, without Shadow and Light."""
    size = Size(background.shape[1], background.shape[0])
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=background),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=foreground),
    )
    return flatten(LayerStack(name="", size=size, layers=layers))


# ---- equality


def differing_bytes(a: Pixels, b: Pixels) -> int:
    """The number of differing bytes; all bytes of the larger image if the shapes differ."""
    if a.shape != b.shape:
        return max(a.size, b.size)
    return int(np.count_nonzero(a != b))


def difference(a: Pixels, b: Pixels, where: Mask) -> float:
    """Mean absolute difference of the colours, 0-1, over a region; NaN if the region is empty."""
    if not where.any():
        return math.nan
    return float(np.abs(a[..., :3].astype(np.int16) - b[..., :3])[where].mean() / 255)


def psnr(a: Pixels, b: Pixels, where: Mask) -> float:
    """Peak signal-to-noise ratio of the colours over a region in dB, at most 60; NaN if the region is empty.

    60 dB is an error below the rounding to 8 bits.
    """
    if not where.any():
        return math.nan
    error = np.square((a[..., :3].astype(np.float64) - b[..., :3])[where] / 255).mean()
    return float(min(60.0, -10 * math.log10(max(error, 1e-12))))


# ---- Shadow and Light


def exact_error(blended: Pixels, flat: Pixels) -> int:
    """Largest difference from Blended of the stack with exact Shadow and Light, in units of 1/255."""
    shown = recompose(flat, *exact_layers(blended, flat))
    return int(np.abs(shown.astype(np.int16) - blended).max())


def clean_picture(blended: Pixels, flat: Pixels, alpha: Plane) -> Pixels:
    """The composite of the stack with clean Shadow and Light; `alpha` is the object's."""
    made = clean_layers(blended, flat, [alpha])
    return recompose(flat, made.shadow, made.light)


def energy_elsewhere(shown: Pixels, flat: Pixels, alpha: Plane) -> float:
    """Fraction of the squared change by Shadow and Light that lies neither on the object nor where its shadow may fall.

    Args:
        shown: the composite with Shadow and Light; with exact ones this is Blended.
        flat: the composite without them.
        alpha: the object's alpha.

    Returns:
        0-1; NaN if nothing is changed.
    """
    energy = np.square(shown[..., :3].astype(np.float64) - flat[..., :3]).sum(axis=-1)
    return float(energy[undisturbed(alpha)].sum() / energy.sum()) if energy.any() else math.nan


# ---- layer consistency


def sharpness(pixels: Pixels) -> float:
    """Mean gradient magnitude of the luma (0-1), per pixel. It decreases when an image is blurred."""
    return float(gradient(luma(pixels)).mean())


def gradient(plane: Plane) -> Plane:
    """Gradient magnitude by central differences, (H, W)."""
    down, across = np.gradient(plane)
    return np.hypot(down, across)


def residue(foreground: Pixels, background: Pixels) -> float:
    """Correlation, -1 to 1, of the gradient magnitudes of foreground and background in the foreground's region.

    If the background contains traces of the object, it has edges at the same places. The region is the object and a
    narrow band around it, because the outline is its strongest edge; the foreground is composited over mid-grey.
    """
    alpha = alpha_of(foreground)
    inside = grown(alpha > SOLID, 0.02)
    over_grey = luma(foreground) * alpha + 0.5 * (1 - alpha)
    return correlation(gradient(over_grey)[inside], gradient(luma(background))[inside])


def correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Pearson's correlation; NaN if either argument is constant or there are fewer than 16 values."""
    if a.size < 16:
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 1e-12 else math.nan


# ---- tone


def colour_inside(pixels: Pixels, alpha: Plane) -> Colour:
    """Mean stored colour, 0-1, of an object's inside (`regions.core` of its alpha); NaN if it has no inside."""
    inside = core(alpha)
    if not inside.any():
        return np.full(3, math.nan)
    return pixels[..., :3][inside].mean(axis=0) / 255.0


def tone_shift(after: Colour, before: Colour) -> Colour:
    """ln(after / before) per channel, so that a tint t shifts every colour by ln t."""
    return np.log(np.maximum(after, 1 / 255)) - np.log(np.maximum(before, 1 / 255))


def cosine(shift: Colour, wanted: Colour) -> float:
    """Cosine of the angle between two shifts; 0 if `shift` is below `NO_SHIFT`, NaN if `wanted` is zero."""
    size, wanted_size = float(np.linalg.norm(shift)), float(np.linalg.norm(wanted))
    if not math.isfinite(size * wanted_size) or wanted_size == 0:
        return math.nan
    return float(shift @ wanted) / (size * wanted_size) if size > NO_SHIFT else 0.0


# ---- shadow


def darkening(blended: Pixels, background: Pixels, weights: Plane) -> float:
    """Fraction of the background's luma, weighted by `weights`, that Blended lacks; negative if it is brighter."""
    before, after = luma(background), luma(blended)
    light = float((weights * before).sum())
    return 1 - float((weights * after).sum()) / light if light > 1e-6 else math.nan


def shadow(blended: Pixels, background: Pixels, alpha: Plane) -> float:
    """Darkening below an object minus the darkening beside and above it, so that an overall darkening is no shadow.

    Below means a strip under the object's feet that is as wide as the object. Pixels that the object covers do not
    count.
    """
    below, ring = strip_below(alpha), beside(alpha)
    if not below.any() or not ring.any():
        return math.nan
    return darkening(blended, background, below.astype(float)) - darkening(blended, background, ring.astype(float))


def strip_below(alpha: Plane) -> Mask:
    """The region of a contact shadow: from a tenth of the object's height above its lower edge to a tenth below it, as
    wide as the object, without the object and the pixels that touch it."""
    box = box_of(alpha)
    strip = np.zeros(alpha.shape, bool)
    if box is None:
        return strip
    top, left, bottom, right = box
    reach = max(2, round(0.1 * (bottom - top)))
    strip[bottom - reach : bottom + reach, left:right] = True
    return strip & ~grown(alpha > SEEN, 0.008)


def effect_centre(shadow_layer: Pixels, where: Mask | None = None) -> tuple[float, float] | None:
    """(x, y) centroid in pixels of a Shadow layer's squared darkening; None if it darkens nothing.

    The darkening is squared so that a faint darkening of the whole image does not outweigh a shadow.
    """
    strength = np.square(alpha_of(shadow_layer) * (1 - luma(shadow_layer)))
    if where is not None:
        strength = strength * where
    total = float(strength.sum())
    if total < 1e-6:
        return None
    rows, columns = np.mgrid[: strength.shape[0], : strength.shape[1]]
    return float((strength * columns).sum() / total), float((strength * rows).sum() / total)


# ---- masks


def auc(scores: Plane, truth: Plane) -> float:
    """Area under the ROC curve of scores against truth > 0.5: the probability that a token of the object has a higher
    score than a token of the background. NaN if there are no tokens of one kind."""
    inside, outside = scores[truth > 0.5].ravel(), scores[truth <= 0.5].ravel()
    if not len(inside) or not len(outside):
        return math.nan
    order = ranks(np.concatenate([inside, outside]).astype(np.float64))
    return float((order[: len(inside)].mean() - (len(inside) + 1) / 2) / len(outside))


def soft_iou(a: Plane, b: Plane) -> float:
    """Intersection over union of two soft masks: sum of minima over sum of maxima; NaN if both are empty."""
    union = float(np.maximum(a, b).sum())
    return float(np.minimum(a, b).sum()) / union if union > 1e-9 else math.nan


def pooled(alpha: Plane, grid: tuple[int, int]) -> Plane:
    """Mean of alpha (H, W) over the pixels of each token, (rows, columns)."""
    rows, columns = alpha.shape[0] // grid[0], alpha.shape[1] // grid[1]
    return alpha[: grid[0] * rows, : grid[1] * columns].reshape(grid[0], rows, grid[1], columns).mean(axis=(1, 3))


def correlation_inside(soft: Plane, alpha: Plane) -> float:
    """Correlation of a soft mask with the true alpha where alpha is above 0.05: whether it reproduces translucency."""
    inside = alpha > 0.05
    return correlation(soft[inside], alpha[inside])


def leak(mask: Plane, alpha: Plane) -> float:
    """Fraction of a mask outside the object *at matched coverage*.

    If the object has n tokens, it is the fraction of the mask's n highest tokens that lie outside the object. It is 0
    for a perfect mask of any scale, and NaN if there is no object or nothing else.
    """
    truth = alpha > SOLID
    count = int(truth.sum())
    if count == 0 or count == truth.size:
        return math.nan
    threshold = np.sort(mask.ravel())[-count]
    above, at = mask > threshold, mask == threshold
    share = (count - int(above.sum())) / int(at.sum())  # tokens at the threshold count in part
    return 1 - float((truth & above).sum() + share * (truth & at).sum()) / count


def outside(mask: Plane, alpha: Plane) -> float:
    """Fraction of a mask's sum that lies outside the object, weighted by 1 - alpha; NaN for an empty mask."""
    total = float(mask.sum())
    return float((mask * (1 - alpha)).sum()) / total if total > 1e-9 else math.nan


def stray_alpha(alpha: Plane) -> float:
    """Mean alpha beyond `MARGIN` around the solid object; NaN if nothing is beyond."""
    beyond = ~grown(alpha > SOLID, MARGIN)
    return float(alpha[beyond].mean()) if beyond.any() else math.nan


def spill(blended: Pixels, background: Pixels, alpha: Plane) -> float:
    """Effect of a mask outside the object: mean |Blended - Background|, 0-1, beyond `MARGIN` around the alpha."""
    return difference(blended, background, ~grown(alpha > SEEN, MARGIN))


def presence(blended: Pixels, background: Pixels, alpha: Plane) -> float:
    """Effect of a mask on the object: mean |Blended - Background|, 0-1, where alpha is above `SOLID`."""
    return difference(blended, background, alpha > SOLID)


def crispness(alpha: Plane) -> float:
    """Fraction of the visible pixels with alpha above 0.9: the precision of an opaque object's alpha."""
    seen = alpha > SEEN
    return float((alpha > 0.9).sum() / seen.sum()) if seen.any() else math.nan
