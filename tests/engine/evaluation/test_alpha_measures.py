"""The measures of alpha, on constructed inputs with known results."""

import numpy as np
import pytest

from layerfusion.engine.evaluation.alpha_measures import aligned, border_mean, largest_box, stray, translucency, veiled


def disc(radius=20, centre=(64, 64), value=1.0):
    rows, columns = np.mgrid[0:128, 0:128]
    return np.where(np.hypot(rows - centre[0], columns - centre[1]) < radius, value, 0.0)


def test_stray_alpha_lies_away_from_the_largest_component():
    alone = disc()
    assert stray(alone) == 0
    speck = np.zeros((128, 128))
    speck[2:6, 2:6] = 0.1
    assert stray(alone + speck) == pytest.approx(16 / ((alone > 0).sum() + 16))
    assert stray(np.zeros((128, 128))) == 1


def test_a_faint_object_has_a_box_too():
    assert largest_box(disc(value=0.3)) == largest_box(disc(value=1.0))
    assert largest_box(np.full((8, 8), 0.01)) is None


def test_border_mean():
    plane = np.zeros((20, 20))
    plane[:3], plane[-3:], plane[:, :3], plane[:, -3:] = 1, 1, 1, 1
    assert border_mean(plane) == 1
    assert border_mean(1 - plane) == 0


@pytest.mark.parametrize(("alpha", "rows", "seen"), [(8, 10, True), (8, 1, False), (20, 10, False), (0, 10, False)])
def test_a_veil_is_faint_and_wide(alpha, rows, seen):
    plane = np.zeros((100, 100))
    plane[40:60, 40:60] = 1
    plane[:rows] = alpha / 255
    assert veiled(plane) is seen


def test_a_true_pattern_correlates_and_a_flat_one_does_not():
    rows, columns = np.mgrid[0:40, 0:40] / 39
    truth = 0.4 + 0.3 * rows
    found = np.zeros((128, 128))
    found[30:70, 50:90] = truth
    correlation, error = translucency(truth, found)
    assert correlation > 0.98
    assert error < 0.02
    found[30:70, 50:90] = 0.55 + 0.01 * columns
    correlation, _ = translucency(truth, found)
    assert abs(correlation) < 0.1
    assert translucency(truth, np.zeros((128, 128))) == (0.0, 1.0)


def test_the_true_alpha_is_scaled_into_the_box_of_the_found_alpha():
    placed = aligned(np.ones((10, 10)), disc(20))
    assert placed is not None
    assert placed.sum() == 39 * 39


def test_soft_edges_are_no_difference_of_size():
    """Smoke has no outline: most of it is fainter than half its strongest alpha."""
    rows, columns = np.mgrid[0:128, 0:128]
    soft = np.exp(-(((rows - 64) / 30) ** 2) - ((columns - 64) / 18) ** 2)
    sprite = soft[20:108, 40:88]
    correlation, error = translucency(sprite, soft)
    assert correlation > 0.99
    assert error < 0.01


def test_what_lies_beyond_the_frame_is_cut_off():
    found = np.zeros((128, 128))
    found[:30, 100:] = 1.0
    truth = np.zeros((20, 20))
    truth[:15, :14] = 1.0
    placed = aligned(truth, found)
    assert placed is not None
    assert placed.shape == (128, 128)
    assert placed[:30, 100:].min() > 0.9
    assert placed.sum() == pytest.approx(30 * 28, abs=60)
