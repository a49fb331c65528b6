import numpy as np
import pytest

from layerfusion.engine.image.compositing import composite
from layerfusion.engine.image.filters import flooded, gaussian_blur
from layerfusion.engine.image.relighting import relit_paste

SIDE = 160
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]


def opaque(values):
    """Values (…), 0-255, that broadcast to (SIDE, SIDE, 3), as an opaque picture."""
    pixels = np.full((SIDE, SIDE, 4), 255, np.uint8)
    pixels[..., :3] = np.rint(np.clip(values, 0, 255))
    return pixels


def disc(radius, down=90, across=80):
    return np.hypot(ROWS - down, COLUMNS - across) < radius


def textured(colour, seed):
    grains = np.kron(np.random.default_rng(seed).normal(size=(SIDE // 4, SIDE // 4, 1)), np.ones((4, 4, 3)))
    return np.asarray(colour) + 12 * grains


def thing(alpha=1.0, **place):
    pixels = opaque(textured((190, 90, 70), 1))
    pixels[..., 3] = np.rint(255 * alpha * disc(30, **place))
    return pixels


GROUND = opaque(textured((150, 160, 120), 2))
SHADOW = 1 - 0.4 * np.clip(1.3 - np.hypot((COLUMNS - 80) / 30, (ROWS - 120) / 8), 0, 1)[..., None]
"""A contact shadow below the disc, as a factor on stored values."""


def change(one, other):
    return np.abs(one[..., :3].astype(int) - other[..., :3]).max(axis=-1)


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_a_drawing_that_is_the_paste_itself_changes_nothing(alpha):
    paste = composite(GROUND, thing(alpha))
    assert change(relit_paste(paste, GROUND, [thing(alpha)]), paste).max() <= 1


def test_tone_and_shadow_of_the_drawing_are_shown_on_the_layers():
    tone = np.array([0.95, 0.8, 0.65])
    drawn = np.where(disc(30)[..., None], textured((190, 90, 70), 1) * tone, GROUND[..., :3] * SHADOW)
    shown = relit_paste(opaque(drawn), GROUND, [thing()])
    inside = disc(26)
    assert np.allclose(shown[inside][:, :3].mean(axis=0), drawn[inside].mean(axis=0), atol=8)
    below = (ROWS > 122) & (ROWS < 128) & (abs(COLUMNS - 80) < 20)
    lost = GROUND[..., :3].mean(axis=-1) - shown[..., :3].mean(axis=-1)
    wanted = GROUND[..., :3].mean(axis=-1) - opaque(drawn)[..., :3].mean(axis=-1)
    assert lost[below].sum() > 0.75 * wanted[below].sum()


def test_another_larger_object_leaves_neither_outline_nor_colour():
    """The model's own object: a green disc half as large again, with stripes."""
    stripes = np.where((ROWS // 6) % 2, 60, 200)[..., None] * np.array([0.4, 1.0, 0.3])
    drawn = opaque(np.where(disc(45)[..., None], stripes, GROUND[..., :3]))
    paste = composite(GROUND, thing())
    assert change(relit_paste(drawn, GROUND, [thing()]), paste)[~disc(30)].mean() < 1
    inside = relit_paste(drawn, GROUND, [thing()])[..., :3] / paste[..., :3].astype(np.float32)
    smooth = gaussian_blur(inside * disc(28)[..., None], 0.03) / (gaussian_blur(disc(28) * 1.0, 0.03)[..., None] + 1e-6)
    assert np.abs(inside - smooth)[disc(24)].max() < 0.06


def test_far_from_the_objects_the_ground_is_byte_for_byte_the_given_one():
    drawn = opaque(GROUND[..., :3] * 0.5)
    shown = relit_paste(drawn, GROUND, [thing()])
    assert np.array_equal(shown[:30], GROUND[:30])


def test_what_darkens_the_whole_surroundings_is_no_shadow():
    shown = relit_paste(
        opaque(np.where(disc(30)[..., None], GROUND[..., :3], GROUND[..., :3] * 0.7)), GROUND, [thing()]
    )
    assert change(shown, GROUND)[~disc(33)].mean() < 1


def test_a_dark_patch_that_touches_no_object_is_no_shadow():
    patch = disc(9, down=138, across=120)
    shown = relit_paste(opaque(np.where(patch[..., None], 20, composite(GROUND, thing())[..., :3])), GROUND, [thing()])
    assert change(shown, GROUND)[patch].mean() < 3


def test_each_of_several_objects_gets_its_own_tone_and_the_upper_covers_the_lower():
    left, right = thing(across=45), thing(across=95)
    paste = composite(composite(GROUND, left), right)
    drawn = opaque(np.where(disc(30, across=95)[..., None], paste[..., :3] * 0.7, paste[..., :3]))
    shown = relit_paste(drawn, GROUND, [left, right])
    assert change(shown, paste)[disc(25, across=45) & ~disc(33, across=95)].mean() < 3
    gain = shown[disc(25, across=95)][:, :3].mean() / paste[disc(25, across=95)][:, :3].mean()
    assert gain == pytest.approx(0.7, abs=0.05)


def test_without_objects_the_ground_is_shown():
    assert np.array_equal(relit_paste(opaque(90), GROUND, []), GROUND)


def test_a_flood_never_rises():
    ceiling = np.array([[0.5, 0.2, 0.9, 0.0, 0.7]])
    assert flooded(np.array([[1.0, 0, 0, 0, 0]]), ceiling).tolist() == [[0.5, 0.2, 0.2, 0.0, 0.0]]
