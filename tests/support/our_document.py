"""A document of ours, as `layerfusion generate` writes it: an apple on a beach, at 128 px."""

import numpy as np

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role

SIDE = 128
FOREGROUND, BACKGROUND = "a red apple", "a beach at sunset"


def our_document():
    """A stack of five layers, whose foreground is a disc away from the canvas's corner."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    ground = np.dstack([columns, rows, np.full_like(rows, 120), np.full_like(rows, 255)]).astype(np.uint8)
    y, x = np.mgrid[:40, :40]
    apple = np.full((40, 40, 4), (200, 40, 30, 0), np.uint8)
    apple[..., 3] = np.where(np.hypot(y - 20, x - 20) < 18, 255, 0)
    white, black = np.full((SIDE, SIDE, 4), 255, np.uint8), np.zeros((SIDE, SIDE, 4), np.uint8)
    black[..., 3] = 255
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=ground),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=apple, offset=(30, 60)),
        Layer(name="Shadow", role=Role.SHADOW, pixels=white, blend=BlendMode.MULTIPLY),
        Layer(name="Light", role=Role.LIGHT, pixels=black, blend=BlendMode.ADD),
        Layer(name="Blended", role=Role.BLENDED, pixels=ground, visible=False),
    )
    return LayeredImage(name=f"{FOREGROUND} + {BACKGROUND}", size=Size(SIDE, SIDE), layers=layers)
