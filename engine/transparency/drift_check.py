"""Whether a checkpoint still speaks LayerDiffuse's language: told from a foreground it has just drawn.

LayerDiffuse teaches SDXL to draw an object before plain mid-grey. Checkpoints that were retrained far away from SDXL no
longer do so; their foregrounds come out opaque or tinted (sd-forge-layerdiffuse #145, ComfyUI-layerdiffuse #124). The
limits are our choice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerfusion.engine.events import Notice
from layerfusion.engine.image.layers import Pixels

BORDER = 1 / 32
"""Of each side: the ring in which a free-standing object hardly ever is."""

MAX_BORDER_ALPHA = 0.3
MAX_COVERAGE = 0.95
MAX_BACKDROP_ERROR = 0.15
"""Mean distance from mid-grey, 0-1, of what the border shows where it is transparent."""

ADVICE = "This checkpoint may have drifted too far from SDXL for LayerDiffuse; try one closer to the base model."


def drift_notice(foreground: Pixels, before_grey: Pixels) -> Notice | None:
    """What is suspicious about a drawn foreground; None if nothing.

    Args:
        foreground: uint8 RGBA (H, W, 4), straight alpha, as the transparent decoder gave it.
        before_grey: uint8 RGBA (H, W, 4), opaque: what the VAE alone makes of the same latents.
    """
    alpha = foreground[..., 3].astype(np.float32) / 255
    ring = _ring(alpha.shape)
    if (alpha > 0.5).mean() > MAX_COVERAGE:
        return _notice("The foreground fills the whole picture.")
    if alpha[ring].mean() > MAX_BORDER_ALPHA:
        return _notice("The foreground covers the picture's border.")
    clear = ring & (alpha < 0.1)
    if not clear.any():
        return None
    error = np.abs(before_grey[..., :3][clear].astype(np.float32) / 255 - 0.5).mean()
    if error > MAX_BACKDROP_ERROR:
        return _notice("The foreground does not stand before plain grey.")
    return None


def _notice(symptom: str) -> Notice:
    return Notice(code="checkpoint_drifted", text=f"{symptom} {ADVICE}")


def _ring(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True along the border of an (H, W) picture."""
    height, width = shape
    ring = np.ones(shape, bool)
    down, right = max(1, round(height * BORDER)), max(1, round(width * BORDER))
    ring[down : height - down, right : width - right] = False
    return ring
