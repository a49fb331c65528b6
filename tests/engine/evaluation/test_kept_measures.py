"""What Shadow and Light do to kept pixels, and the outline in Blended, on made pictures with known answers."""

import math

import numpy as np
import pytest

from layerfusion.engine.evaluation.kept_measures import (
    changed_elsewhere,
    object_change,
    object_inside,
    object_shift,
    outline_in,
)
from layerfusion.engine.evaluation.measures import alpha_of, pasted
from layerfusion.engine.image.filters import gaussian_blur

SIDE = 160
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def ground(seed=1, colour=(150, 170, 120)) -> np.ndarray:
    """A backdrop with a gradient and a little grain."""
    picture = np.full((SIDE, SIDE, 4), 255, np.uint8)
    grain = np.random.default_rng(seed).normal(0, 4, (SIDE, SIDE, 1))
    picture[..., :3] = (np.array(colour) + (ROWS[..., None] - 80) * 0.3 + grain).clip(0, 255)
    return picture


def disc(radius=26.0, centre=(80, 84), colour=(200, 60, 40), alpha=1.0, seed=2) -> np.ndarray:
    """A striped disc with a soft edge; its centre is (x, y)."""
    distance = radius - np.hypot(COLUMNS - centre[0], ROWS - centre[1])
    picture = np.zeros((SIDE, SIDE, 4), np.uint8)
    stripes = 1 + 0.25 * np.sin(COLUMNS / 3)[..., None]
    grain = np.random.default_rng(seed).normal(0, 3, (SIDE, SIDE, 1))
    picture[..., :3] = (np.array(colour) * stripes + grain).clip(0, 255)
    picture[..., 3] = np.rint((distance + 0.5).clip(0, 1) * alpha * 255)
    return picture


def lit(picture, factor) -> np.ndarray:
    """The picture's colours times a factor, (H, W), (H, W, 3) or one for all."""
    factor = np.asarray(factor, float)
    result = picture.copy()
    result[..., :3] = (picture[..., :3] * (factor[..., None] if factor.ndim == 2 else factor)).clip(0, 255).round()
    return result


def redrawn(picture, seed=9) -> np.ndarray:
    """The picture as a model draws it anew: a little soft, with other grain."""
    soft = gaussian_blur(picture[..., :3].astype(np.float32), 0.004)
    result = picture.copy()
    result[..., :3] = (soft + np.random.default_rng(seed).normal(0, 3, soft.shape)).clip(0, 255)
    return result


def shadow(depth=0.6, at=(80, 112), size=(34, 7)) -> np.ndarray:
    """A soft contact shadow as a factor, (H, W)."""
    distance = np.hypot((COLUMNS - at[0]) / size[0], (ROWS - at[1]) / size[1])
    return 1 - depth * gaussian_blur((distance < 1).astype(np.float32), 0.014)


BACKGROUND, OBJECT = ground(), disc()
ALPHA, FLAT = alpha_of(OBJECT), pasted(BACKGROUND, OBJECT)
GLASS = disc(alpha=0.45)


# ---- the region


def test_the_inside_of_an_object_is_opaque_and_that_of_glass_is_what_is_seen():
    assert (ALPHA[object_inside(ALPHA)] > 0.95).all()
    glass = object_inside(alpha_of(GLASS))
    assert 0.8 < glass.sum() / object_inside(ALPHA).sum() < 1


# ---- the change of an object


def test_no_change_is_zero():
    change = object_change(FLAT, FLAT, ALPHA)
    assert (change.structure, change.structure_p99, change.tone_p99) == (0, 0, 0)
    assert change.redrawn_p99 < 0.1


@pytest.mark.parametrize("given", [OBJECT, GLASS], ids=["opaque", "translucent"])
def test_a_smooth_change_is_tone_and_no_structure(given):
    alpha, flat = alpha_of(given), pasted(BACKGROUND, given)
    shown = flat.copy()
    shown[..., :3] = (flat[..., :3] - 20.0 - 0.05 * COLUMNS[..., None]).clip(0, 255)
    change = object_change(shown, flat, alpha)
    assert change.structure < 0.5
    assert change.structure_p99 < 2.5
    assert 22 < change.tone_p99 < 28


def test_a_printed_dimple_is_structure():
    shown = lit(FLAT, np.where(np.hypot(COLUMNS - 80, ROWS - 80) < 3, 0.5, 1.0))
    change = object_change(shown, FLAT, ALPHA)
    assert change.structure_p99 > 10
    assert change.redrawn_p99 > 10


def test_a_light_that_makes_contrasts_smaller_is_structure_but_draws_nothing():
    change = object_change(lit(FLAT, (0.5, 0.6, 0.7)), FLAT, ALPHA)
    assert change.structure_p99 > 10
    assert change.redrawn_p99 < 1.5


def test_a_change_beside_the_object_does_not_count_on_it():
    change = object_change(lit(FLAT, np.where(ALPHA > 0, 1.0, 0.2)), FLAT, ALPHA)
    assert (change.structure, change.tone_p99) == (0, 0)


def test_a_tiny_object_is_not_measured():
    assert math.isnan(object_change(FLAT, FLAT, alpha_of(disc(radius=3))).structure)


def test_the_shift_of_an_objects_colour():
    shift = object_shift(lit(FLAT, (0.5, 0.8, 1.0)), FLAT, ALPHA)
    assert shift == pytest.approx(np.log([0.5, 0.8, 1.0]), abs=0.02)


def test_changes_away_from_the_object_are_counted_above_four():
    far = np.zeros((SIDE, SIDE), bool)
    far[:16] = True
    for step, share in ((4, 0.0), (5, 1.0)):
        shown = FLAT.copy()
        shown[far, :3] += np.uint8(step)
        away = changed_elsewhere(shown, FLAT, ALPHA)
        assert (away > 0.1) == bool(share)
    assert changed_elsewhere(lit(FLAT, shadow()), FLAT, ALPHA) == 0


# ---- the outline in Blended: (what Blended shows, IoU at least, IoU at most)


def blended_of(given, background=BACKGROUND) -> np.ndarray:
    return redrawn(pasted(background, given))


def half() -> np.ndarray:
    whole = disc()
    whole[:, 80:, 3] = 0
    return whole


GHOST = pasted(pasted(BACKGROUND, OBJECT), disc(radius=13, centre=(130, 40), colour=(40, 60, 190)))
EVENING = (0.75, 0.55, 0.45)
OUTLINES = {
    "the object itself": (blended_of(OBJECT), 0.97, 1),
    "1.5 times too large": (blended_of(disc(radius=39)), 0.40, 0.50),
    "1.5 times too large and darker": (blended_of(disc(radius=39, colour=(110, 30, 25))), 0.40, 0.52),
    "two thirds of its size": (blended_of(disc(radius=26 * 2 / 3)), 0.38, 0.50),
    "missing": (redrawn(BACKGROUND), 0, 0.02),
    "half of it": (blended_of(half()), 0.45, 0.55),
    "a quarter of its width beside it": (blended_of(disc(centre=(93, 84))), 0.5, 0.8),
    "with a ghost of another object": (redrawn(GHOST), 0.74, 0.82),  # 0.8 by area; a blur enlarges the ghost
    "another object in its place": (blended_of(disc(colour=(50, 80, 200), seed=5)), 0.97, 1),
    "in shadow": (redrawn(pasted(lit(BACKGROUND, shadow()), OBJECT)), 0.95, 1),
    "in deep shadow": (redrawn(pasted(lit(BACKGROUND, shadow(0.75)), OBJECT)), 0.93, 1),
    "in evening light": (blended_of(lit(OBJECT, EVENING)), 0.97, 1),
    "at night": (blended_of(lit(OBJECT, 0.35)), 0.97, 1),
    "lit from one side": (blended_of(lit(OBJECT, 1.3 - 0.7 * COLUMNS / SIDE)), 0.97, 1),
    "missing, and its place in shadow": (redrawn(lit(BACKGROUND, shadow())), 0, 0.1),
}


@pytest.mark.parametrize(("blended", "least", "most"), OUTLINES.values(), ids=OUTLINES.keys())
def test_the_outline_of_an_object(blended, least, most):
    assert least <= outline_in(blended, BACKGROUND, FLAT, ALPHA).iou <= most


def test_the_outline_says_what_is_wrong():
    large = outline_in(blended_of(disc(radius=39)), BACKGROUND, FLAT, ALPHA)
    small = outline_in(blended_of(disc(radius=26 * 2 / 3)), BACKGROUND, FLAT, ALPHA)
    assert large.drawn > 0.97
    assert 1.0 < large.beyond < 1.4
    assert small.beyond == 0
    assert 0.38 < small.drawn < 0.5


GLASS_OUTLINES = {
    "glass": (blended_of(GLASS), 0.95, 1),
    "glass, missing": (redrawn(BACKGROUND), 0, 0.05),
    "glass, 1.5 times too large": (blended_of(disc(radius=39, alpha=0.45)), 0.38, 0.55),
    "glass in shadow": (redrawn(pasted(lit(BACKGROUND, shadow()), GLASS)), 0.9, 1),
}


@pytest.mark.parametrize(("blended", "least", "most"), GLASS_OUTLINES.values(), ids=GLASS_OUTLINES.keys())
def test_the_outline_of_something_translucent(blended, least, most):
    assert least <= outline_in(blended, BACKGROUND, pasted(BACKGROUND, GLASS), alpha_of(GLASS)).iou <= most


def test_a_grey_object_that_is_missing_is_not_taken_for_a_lit_one():
    """A grey disc on grey ground, lit just so, would vanish; a disc that is not there is likelier."""
    background = ground(colour=(190, 190, 190))
    grey = disc(colour=(120, 120, 120))
    flat = pasted(background, grey)
    assert outline_in(redrawn(background), background, flat, alpha_of(grey)).iou < 0.1
    assert outline_in(blended_of(grey, background), background, flat, alpha_of(grey)).iou > 0.95


def test_an_object_like_its_background_is_not_measured():
    flat = BACKGROUND.copy()
    assert math.isnan(outline_in(redrawn(flat), BACKGROUND, flat, ALPHA).iou)
