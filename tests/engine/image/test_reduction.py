import numpy as np

from layerfusion.engine.image.agreement import GAMMA
from layerfusion.engine.image.reduction import linear_mean

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 8, 4), dtype=np.uint8)
LIGHT = (PICTURE[..., :3] / 255) ** GAMMA


def test_a_picture_that_is_not_reduced_is_its_own_light():
    np.testing.assert_allclose(linear_mean(PICTURE, 12, 8), LIGHT, atol=1e-6)


def test_a_smaller_one_has_the_mean_light():
    mean = LIGHT.reshape(6, 2, 4, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(linear_mean(PICTURE, 6, 4), mean, atol=1e-6)
