"""A check of each generated foreground for signs that LayerDiffuse does not work with the checkpoint.

LayerDiffuse's deltas make SDXL draw an object before a plain mid-grey backdrop. Checkpoints that were fine-tuned too
far from SDXL do not do so even with the deltas; their foregrounds come out opaque or tinted (sd-forge-layerdiffuse
#145, ComfyUI-layerdiffuse #124). The limits are our choice. The pipeline calls it and passes the notice on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.image.layers import Pixels
from layerfusion.engine.notices import Notice, sentence

BORDER = 1 / 32
"""Width of the border region as a fraction of each side. A free-standing object hardly ever reaches into it."""

MAX_BORDER_ALPHA = 0.3
"""Mean alpha of the border, 0-1."""

MAX_COVERAGE = 0.95
"""Fraction of pixels with alpha above 0.5."""

MAX_BACKDROP_ERROR = 0.15
"""Mean distance of the border's transparent pixels from mid-grey, in units of the full value range 0-1."""


def drift_notice(foreground: Pixels, before_grey: Pixels) -> Notice | None:
    """Describe what is wrong with a generated foreground; None if nothing is suspicious.

    Args:
        foreground: uint8 RGBA (H, W, 4), straight alpha, from the transparent decoder.
        before_grey: uint8 RGBA (H, W, 4), opaque: the same latents decoded by the VAE alone.
    """
    alpha = foreground[..., 3].astype(np.float32) / 255
    ring = _ring(alpha.shape)
    if (alpha > 0.5).mean() > MAX_COVERAGE:
        return _notice("foreground_fills_image")
    if alpha[ring].mean() > MAX_BORDER_ALPHA:
        return _notice("foreground_at_border")
    clear = ring & (alpha < 0.1)
    if not clear.any():
        return None
    error = np.abs(before_grey[..., :3][clear].astype(np.float32) / 255 - 0.5).mean()
    if error > MAX_BACKDROP_ERROR:
        return _notice("backdrop_not_grey")
    return None


def _notice(symptom: str) -> Notice:
    return Notice(code="checkpoint_drifted", sentences=(sentence(symptom), sentence("checkpoint_advice")))


def _ring(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): True within the border region."""
    height, width = shape
    ring = np.ones(shape, bool)
    down, right = max(1, round(height * BORDER)), max(1, round(width * BORDER))
    ring[down : height - down, right : width - right] = False
    return ring
