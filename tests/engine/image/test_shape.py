"""Shapes of regions, and objects that are fitted into them."""

import numpy as np
import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.placement import fitted_in
from layerfusion.engine.image.shape import MAX_SHAPE_SIDE, Shape
from layerfusion.engine.sources import Generated

ROWS, COLUMNS = np.mgrid[:200, :300]
ELLIPSE = np.where(((COLUMNS - 150) / 150) ** 2 + ((ROWS - 100) / 100) ** 2 < 1, 255, 0).astype(np.uint8)
WEDGE = np.where(COLUMNS * 200 > ROWS * 300, 0, 255).astype(np.uint8)
"""The lower left half of the box."""


def disc(side=80):
    rows, columns = np.mgrid[:side, :side]
    pixels = np.full((side, side, 4), 200, np.uint8)
    pixels[..., 3] = 255 * ((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (side / 2) ** 2)
    return pixels


def test_a_shape_is_the_same_after_it_was_a_text():
    soft = np.clip(ROWS[:40, :60] * 6, 0, 255).astype(np.uint8)
    shape = Shape.of(soft)
    assert Shape.from_text(shape.text) == shape
    assert np.array_equal(shape.over(Box(5, 7, 60, 40), Size(100, 80))[7:47, 5:65], soft)


def test_a_large_mask_becomes_a_small_shape_that_is_stretched_over_its_box():
    shape = Shape.of(ELLIPSE)
    assert (shape.width, shape.height) == (MAX_SHAPE_SIDE, 171)
    whole = shape.over(Box(20, 10, 300, 200), Size(400, 300))
    assert not whole[:10].any() and not whole[:, :20].any() and not whole[:, 320:].any()
    differing = (whole[10:210, 20:320] > 127) != (ELLIPSE > 127)
    assert differing.mean() < 0.01


@pytest.mark.parametrize(
    "text",
    ["", "3x3", "3x3:", "3x3:!!!!", "0x3:eJxjAAAAAQAB", "999x1:eJxjAAAAAQAB", "2x2:eJxjYGBgAAAABAAB", "9" * 200_000],
)
def test_a_text_that_is_no_shape_is_refused(text):
    with pytest.raises(InvalidRequest, match="shape of a foreground"):
        Shape.from_text(text)


def test_a_text_that_would_become_large_is_refused_at_once():
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"\xff" * 10_000_000, 9)).decode()
    with pytest.raises(InvalidRequest, match="5 bytes, and 2x2 px"):
        Shape.from_text(f"2x2:{bomb}")


@pytest.mark.parametrize("mask", [ELLIPSE, WEDGE], ids=["ellipse", "wedge"])
def test_an_object_is_fitted_into_a_shape(mask):
    shape, box, canvas = Shape.of(mask), Box(30, 40, 300, 200), Size(400, 300)
    fitted = fitted_in(disc(), box, shape)
    assert fitted is not None
    pixels, (x, y) = fitted
    sheet = np.zeros((canvas.height, canvas.width))
    sheet[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels[..., 3]
    inside = shape.over(box, canvas) > 127
    assert sheet[inside].sum() > 0.96 * sheet.sum()
    assert pixels.shape[0] > 90, "as large as it can be: a circle of 111 px has room in the wedge"


def test_nothing_is_fitted_if_nothing_is_visible():
    assert fitted_in(np.zeros((8, 8, 4), np.uint8), Box(0, 0, 64, 64), Shape.of(ELLIPSE)) is None


def test_a_shape_needs_a_box():
    with pytest.raises(InvalidRequest, match="without a box"):
        Generated("a cat", shape=Shape.of(ELLIPSE))
