import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.image.bands import Bands, across, area, bilinear, down, gaussian, lanczos, whole

LENGTHS = [(128, 512, 0, None), (300, 1200, 3.25, 290.75), (512, 97, 0, None), (4096, 256, 0, None)]
LENGTHS += [(5, 64, 0, None), (64, 5, 1.5, 60.0), (1, 7, 0, None), (7, 1, 0, None)]


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def both_ways(bands: Bands, picture):
    """The map of the columns of (inputs, W), computed along either axis."""
    downwards = np.concatenate([down(bands, picture[None, bands.reach(rows)], rows) for rows in bands.blocks()], axis=1)
    sideways = across(bands, np.ascontiguousarray(picture.T)[None], slice(0, len(bands)))
    np.testing.assert_allclose(downwards[0], sideways[0].T, atol=1e-6)
    return downwards[0]


def test_resampling_is_that_of_pillow_on_floats(subtests):
    for inputs, outputs, low, high in LENGTHS:
        picture = noise(inputs, 33)
        for ours, theirs in ((lanczos, Image.Resampling.LANCZOS), (bilinear, Image.Resampling.BILINEAR)):
            with subtests.test(f"{ours.__name__} {inputs} to {outputs}"):
                box = (0, low, 33, inputs if high is None else high)
                expected = np.asarray(Image.fromarray(picture).resize((33, outputs), theirs, box))
                np.testing.assert_allclose(both_ways(ours(inputs, outputs, low, high), picture), expected, atol=2e-6)


def test_an_area_mean_weighs_each_input_by_what_is_covered_of_it():
    picture = noise(7, 4)
    fine = picture.repeat(3, axis=0)  # 21 rows, of which each output covers 7
    np.testing.assert_allclose(both_ways(area(7, 3), picture), fine.reshape(3, 7, 4).mean(axis=1), atol=1e-6)
    large = noise(512, 2)
    np.testing.assert_allclose(both_ways(area(512, 8), large), large.reshape(8, 64, 2).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs", "sigma"), [(40, 40, 3.0), (9, 300, 0.6), (6, 6, 10.0)])
def test_a_gaussian_leaves_out_what_lies_outside(inputs, outputs, sigma):
    picture = noise(inputs, 3)
    centres, places = (np.arange(outputs) + 0.5) * inputs / outputs, np.arange(inputs) + 0.5
    weights = np.exp(-((centres[:, None] - places) ** 2) / (2 * sigma**2))
    expected = (weights / weights.sum(axis=1, keepdims=True)) @ picture
    np.testing.assert_allclose(both_ways(gaussian(inputs, outputs, sigma), picture), expected, atol=1e-5)


def test_both_directions_at_once():
    planes = noise(2, 20, 30)
    vertical, horizontal = lanczos(20, 70), bilinear(30, 11)
    expected = [both_ways(horizontal, both_ways(vertical, plane).T).T for plane in planes]
    np.testing.assert_allclose(whole(vertical, horizontal, planes), expected, atol=1e-5)
