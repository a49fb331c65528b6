from functools import cache

import numpy as np
import pytest

from layerfusion.engine.image.geometry import Framing, Size
from layerfusion.engine.image.resampling import smooth_to_canvas, to_canvas
from layerfusion.engine.image.upscaling import box_mean, foreground_to_canvas, linear_model

FRAMING = Framing(Size(512, 512), Size(128, 128))


@cache
def scene(side: int) -> np.ndarray:
    """A disc and a thin slanted line, red before grey: float32 (side, side, 4), colours opaque, alpha last."""
    y, x = np.mgrid[0:2048, 0:2048] / 2048
    inside = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09) | (abs((x - 0.2) - (y - 0.7)) < 0.015)
    picture = np.where(inside[..., None], [0.8, 0.2, 0.1, 1.0], [0.5, 0.5, 0.5, 0.0]).astype(np.float32)
    step = 2048 // side
    return picture.reshape(side, step, side, step, 4).mean(axis=(1, 3))


def as_bytes(unit: np.ndarray) -> np.ndarray:
    return (unit * 255).round().astype(np.uint8)


def opaque(picture: np.ndarray) -> np.ndarray:
    return as_bytes(np.concatenate([picture[..., :3], np.ones_like(picture[..., 3:])], axis=-1))


@pytest.fixture(scope="module")
def drawn():
    """The input at 128 px: a soft alpha, and the image with the object."""
    picture = scene(128)
    soft = box_mean(picture[..., 3], 1)
    pixels = as_bytes(np.concatenate([np.broadcast_to([0.8, 0.2, 0.1], (128, 128, 3)), soft[..., None]], axis=-1))
    pixels[pixels[..., 3] == 0] = 0
    return pixels, opaque(picture)


def error(result: np.ndarray) -> float:
    return float(abs(result[..., 3] / 255 - scene(512)[..., 3]).mean())


def test_an_edge_of_alpha_follows_the_edge_of_colour(drawn):
    plain = to_canvas(drawn[0], FRAMING)
    led = foreground_to_canvas(drawn[0], drawn[1], FRAMING)
    fine = foreground_to_canvas(drawn[0], drawn[1], FRAMING, opaque(scene(512)))
    assert error(led) < 0.9 * error(plain)
    assert error(fine) < 0.7 * error(plain)


def test_colour_and_alpha_0_and_255_are_those_of_plain_resampling(drawn):
    plain, led = to_canvas(drawn[0], FRAMING), foreground_to_canvas(drawn[0], drawn[1], FRAMING)
    assert np.array_equal(plain[..., :3], led[..., :3])
    sure = (plain[..., 3] == 0) | (plain[..., 3] == 255)
    assert 0.5 < sure.mean() < 1
    assert np.array_equal(plain[sure], led[sure])
    assert not np.array_equal(plain, led)


@pytest.mark.parametrize("canvas", [Size(128, 128), Size(96, 96)])
def test_a_canvas_no_larger_than_the_working_size_is_resampled_plainly(drawn, canvas):
    framing = Framing(canvas, Size(128, 128))
    assert np.array_equal(foreground_to_canvas(drawn[0], drawn[1], framing), to_canvas(drawn[0], framing))


def test_a_flat_guide_gives_the_local_mean_of_alpha():
    """Without edges of colour, the linear model is the local mean of alpha."""
    alpha = scene(128)[..., 3]
    slope, base = linear_model(np.full((128, 128, 3), 0.5, np.float32), alpha, radius=2)
    assert abs(slope).max() < 1e-4
    np.testing.assert_allclose(base, box_mean(box_mean(alpha, 2), 2), atol=1e-4)


def test_alpha_that_is_linear_in_colour_is_found_exactly():
    generator = np.random.default_rng(3)
    guide = generator.random((40, 50, 3), np.float32)
    alpha = guide @ np.array([0.3, 0.2, 0.4], np.float32) + np.float32(0.05)
    slope, base = linear_model(guide, alpha, radius=2, softness=1e-9)
    np.testing.assert_allclose((slope * guide).sum(axis=-1) + base, alpha, atol=1e-4)


def test_a_box_mean_counts_only_pixels_inside_the_image():
    values = np.random.default_rng(4).random((6, 7), np.float32)
    means = box_mean(values, 2)
    assert means[3, 3] == pytest.approx(values[1:6, 1:6].mean(), rel=1e-5)
    assert means[0, 0] == pytest.approx(values[:3, :3].mean(), rel=1e-5)
    assert means[5, 6] == pytest.approx(values[3:, 4:].mean(), rel=1e-5)


def test_smooth_values_stay_in_their_range_and_place():
    framing = Framing(Size(200, 100), Size(64, 64))
    ramp = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (64, 64, 2))
    large = smooth_to_canvas(np.ascontiguousarray(ramp), framing)
    assert large.shape == (100, 200, 2)
    assert 0 <= large.min() < large.max() <= 1
    assert large[50, 100, 0] == pytest.approx(0.5, abs=0.01)
