"""Small operations on planes."""

import numpy as np
import pytest

from layerfusion.engine.image.filters import largest


@pytest.mark.parametrize("shape", [(3,), (7, 3), (4, 5, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint8])
def test_the_largest_channel_is_the_one_that_numpy_finds(shape, kind):
    channels = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    found = largest(channels)
    assert found.dtype == kind and np.array_equal(found, channels.max(axis=-1))


def test_what_is_no_number_stays_none():
    assert np.isnan(largest(np.array([[1, np.nan, 2], [np.nan, 1, 2], [1, 2, np.nan]]))).all()
