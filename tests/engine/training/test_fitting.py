"""A picture is laid into the outline in which the model drew it."""

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.training.data import translucent
from layerfusion.engine.training.fitting import fitted

BOTTLE = np.asarray(translucent.draw("green bottle"))


def placed(picture, size, place, side=200):
    """A picture of this size (width, height) at a place (left, top)."""
    canvas = Image.new("RGBA", (side, side))
    canvas.paste(Image.fromarray(picture).resize(size, Image.Resampling.BOX), place)
    return np.asarray(canvas) / 255


def waves(alpha, depth):
    """With rows that are moved to and fro."""
    moved = [np.roll(row, round(depth * np.sin(0.8 * place))) for place, row in enumerate(alpha)]
    return np.stack(moved)


@pytest.mark.parametrize("name", ["green bottle", "soap bubble", "glass of water"])
def test_a_true_drawing_is_found_again(name):
    picture = np.asarray(translucent.draw(name))
    drawn = placed(picture, (picture.shape[1] // 2, picture.shape[0] // 2), (30, 20))
    found = fitted(picture, drawn[..., 3])
    assert found is not None and found.shape == (200, 200, 4)
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(found[..., 3] - drawn[..., 3]).mean() < 0.015


def test_what_is_scratched_into_the_inside_is_not_the_truth():
    drawn = placed(BOTTLE, (70, 140), (50, 20))
    rows, columns = np.mgrid[0:200, 0:200]
    netted = drawn[..., 3] * np.where((rows // 4 + columns // 4) % 2, 1.0, 0.7)
    found = fitted(BOTTLE, netted)
    assert found is not None
    assert np.abs(found[..., 3] - drawn[..., 3]).mean() < 0.25 * np.abs(netted - drawn[..., 3]).mean()


def test_short_waves_of_an_outline_are_straightened_and_a_wider_body_stays_wide():
    drawn = placed(BOTTLE, (90, 150), (40, 20))[..., 3]
    found = fitted(BOTTLE, waves(drawn, 3))
    assert found is not None
    edges = [(plane[30:165] > 0.3).argmax(axis=1).astype(float) for plane in (waves(drawn, 3), found[..., 3])]
    jagged, calm = (np.abs(np.diff(edge, n=2)).mean() for edge in edges)
    assert calm < 0.5 * jagged
    assert (found[..., 3] > 0.3).any(axis=0).sum() == pytest.approx(90, abs=8)


@pytest.mark.parametrize("drawn", ["nothing", "two pieces", "a bar"])
def test_what_is_no_such_thing_is_refused(drawn):
    alpha = np.zeros((200, 200))
    if drawn == "two pieces":
        alpha[20:90, 20:60] = alpha[20:90, 120:190] = 0.8
    if drawn == "a bar":
        alpha[90:110, 10:190] = 0.8
    assert fitted(BOTTLE, alpha) is None


def test_specks_and_hairs_do_not_move_it():
    drawn = placed(BOTTLE, (70, 140), (50, 20))[..., 3]
    spoilt = drawn.copy()
    spoilt[3:7, 3:7] = 0.9
    spoilt[60:63, 10:190] = 0.9
    clean, found = fitted(BOTTLE, drawn), fitted(BOTTLE, spoilt)
    assert clean is not None and found is not None
    assert np.abs(clean[..., 3] - found[..., 3]).mean() < 0.01
