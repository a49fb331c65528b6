"""Every measure, on constructed images with known results."""

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from layerfusion.engine.evaluation import measures
from layerfusion.engine.evaluation.regions import beside, box_of, core, grown, shadow_place, shrunk, undisturbed

SIDE = 100


def opaque(colour) -> np.ndarray:
    picture = np.full((SIDE, SIDE, 4), 255, np.uint8)
    picture[..., :3] = colour
    return picture


def disc(colour=(200, 40, 30), centre=(50, 50), radius=20) -> np.ndarray:
    """A disc with a hard edge; its centre is (x, y)."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    picture = np.zeros((SIDE, SIDE, 4), np.uint8)
    picture[np.hypot(columns - centre[0], rows - centre[1]) <= radius] = (*colour, 255)
    return picture


def textured(seed: int) -> np.ndarray:
    picture = opaque(0)
    picture[..., :3] = np.random.default_rng(seed).integers(60, 200, (SIDE, SIDE, 3))
    return picture


ALPHA = measures.alpha_of(disc())


# ---- regions


def test_dilation_and_erosion_by_a_fraction_of_the_frame():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:60, 40:60] = True
    assert grown(mask, 0.06).sum() == 32 * 32
    assert shrunk(mask, 0.06).sum() == 8 * 8
    assert np.array_equal(grown(mask, 0.0), mask) and np.array_equal(shrunk(mask, 0.0), mask)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.98])
def test_dilation_and_erosion_are_those_of_pillow(density):
    """Whose filters take 400 times as long for the ring around an object at 256 px."""
    mask = np.random.default_rng(3).random((37, 50)) < density
    radius = 6
    padded = Image.fromarray(np.pad(mask, radius, mode="edge").astype(np.uint8) * 255)
    for ours, kind in ((grown, ImageFilter.MaxFilter), (shrunk, ImageFilter.MinFilter)):
        theirs = np.asarray(padded.filter(kind(2 * radius + 1)))[radius:-radius, radius:-radius] > 0
        assert np.array_equal(ours(mask, radius / 50), theirs)


def test_erosion_keeps_masks_that_touch_the_frame():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :30] = True
    assert shrunk(mask, 0.05).sum() == SIDE * 25
    assert grown(mask, 0.05).sum() == SIDE * 35


def test_the_box_of_an_object():
    assert box_of(ALPHA) == (30, 30, 71, 71)
    assert box_of(np.zeros((SIDE, SIDE))) is None


def test_the_core_leaves_the_edge_out_but_never_everything():
    assert core(ALPHA).sum() < (ALPHA > 0.5).sum()
    sliver = np.zeros((SIDE, SIDE))
    sliver[50, 20:80] = 1
    assert core(sliver).sum() == 60


def test_regions_do_not_overlap():
    clear = undisturbed(ALPHA)
    assert not (clear & shadow_place(ALPHA)).any()
    assert not (clear & (ALPHA > 0)).any()
    assert clear.any()
    ring = beside(ALPHA)
    assert ring.any()
    assert not (ring & (ALPHA > 0)).any()
    assert not ring[50:].any()


# ---- equality


def test_equal_pictures_differ_in_no_byte():
    changed = disc()
    changed[3, 4, 1] += 1
    assert measures.differing_bytes(disc(), disc()) == 0
    assert measures.differing_bytes(disc(), changed) == 1
    assert measures.differing_bytes(disc(), disc()[:50]) == disc().size


def test_difference_and_psnr_of_a_known_change():
    everywhere = np.ones((SIDE, SIDE), bool)
    assert measures.difference(opaque(100), opaque(151), everywhere) == pytest.approx(0.2)
    assert measures.psnr(opaque(100), opaque(151), everywhere) == pytest.approx(-20 * math.log10(0.2))
    assert measures.psnr(opaque(100), opaque(100), everywhere) == 60
    assert math.isnan(measures.difference(opaque(1), opaque(2), ~everywhere))


# ---- harmony layers


def test_exact_layers_are_exact_and_clean_ones_leave_a_difference():
    flat, blended = measures.pasted(textured(1), disc()), measures.pasted(textured(2), disc((150, 30, 30)))
    assert measures.exact_error(blended, flat) <= 1
    assert measures.difference(measures.clean_picture(blended, flat, ALPHA), blended, ALPHA < 2) > 0.01


def test_energy_elsewhere_counts_what_is_changed_far_from_the_object():
    flat = opaque(100)
    near, far = flat.copy(), flat.copy()
    near[45:55, 45:55, :3] += 30
    far[2:12, 2:12, :3] += 30
    both = near.copy()
    both[2:12, 2:12, :3] += 30
    assert measures.energy_elsewhere(near, flat, ALPHA) == 0
    assert measures.energy_elsewhere(far, flat, ALPHA) == 1
    assert measures.energy_elsewhere(both, flat, ALPHA) == pytest.approx(0.5)
    assert math.isnan(measures.energy_elsewhere(flat, flat, ALPHA))


# ---- layer consistency


def test_sharpness_of_a_ramp_is_its_slope_and_falls_with_blur():
    ramp = opaque(0)
    ramp[..., :3] = np.arange(SIDE)[None, :, None] * 2
    assert measures.sharpness(ramp) == pytest.approx(2 / 255)
    sharp = textured(1)
    blurred = (sharp.astype(int) + np.roll(sharp, 1, 0) + np.roll(sharp, 1, 1) + np.roll(sharp, 2, 1)) // 4
    assert measures.sharpness(blurred.astype(np.uint8)) < 0.7 * measures.sharpness(sharp)


def test_traces_of_the_object_in_the_background_are_found():
    clear = opaque(120)
    clear[..., :3] += textured(3)[..., :3] // 8
    figure = disc()
    figure[..., :3] = textured(4)[..., :3]  # an object of much texture
    ghost = clear.copy()
    ghost[..., :3] = (0.5 * clear[..., :3] + 0.5 * measures.pasted(clear, figure)[..., :3]).astype(np.uint8)
    assert abs(measures.residue(figure, clear)) < 0.1
    assert measures.residue(figure, ghost) > 0.3
    assert measures.residue(figure, measures.pasted(opaque(127), figure)) == pytest.approx(1, abs=0.01)


# ---- tone


def test_a_known_tint_is_measured():
    tint = np.array([1.0, 0.9, 0.8])
    own = measures.colour_inside(opaque((200, 100, 50)), ALPHA)
    lit = measures.colour_inside(opaque((200, 90, 40)), ALPHA)
    shift = measures.tone_shift(lit, own)
    assert shift == pytest.approx(np.log(tint))
    assert measures.cosine(shift, np.log(tint)) == pytest.approx(1)
    assert shift @ np.log(tint) / (np.log(tint) @ np.log(tint)) == pytest.approx(1)


def test_without_a_shift_or_a_tint_there_is_no_direction():
    tint = np.log([1.0, 0.9, 0.8])
    assert measures.cosine(np.zeros(3), tint) == 0
    assert measures.cosine(0.02 * tint, tint) == 0  # less than one percent
    assert measures.cosine(-tint, tint) == pytest.approx(-1)
    assert math.isnan(measures.cosine(tint, np.zeros(3)))


# ---- shadow


def planted(strength: float, everywhere: float = 1.0) -> np.ndarray:
    """Blended on a grey ground, with a shadow of the given strength below the object."""
    ground = opaque(0)
    ground[..., :3] = round(200 * everywhere)
    below = measures.strip_below(ALPHA)
    ground[below, :3] = round(200 * everywhere * (1 - strength))
    return measures.pasted(ground, disc())


def test_a_shadow_of_strength_three_tenths_is_measured():
    assert measures.shadow(planted(0.3), opaque(200), ALPHA) == pytest.approx(0.3)
    assert measures.shadow(planted(0.0), opaque(200), ALPHA) == 0


def test_an_overall_darkening_is_no_shadow():
    assert measures.shadow(planted(0.0, everywhere=0.7), opaque(200), ALPHA) == pytest.approx(0, abs=1e-9)


def test_without_an_object_there_is_no_shadow():
    assert math.isnan(measures.shadow(opaque(1), opaque(1), np.zeros((SIDE, SIDE))))


def test_the_centre_of_a_shadow_layer():
    layer = np.zeros((SIDE, SIDE, 4), np.uint8)
    layer[60:71, 20:41] = (0, 0, 0, 128)
    assert measures.effect_centre(layer) == pytest.approx((30, 65))
    assert measures.effect_centre(np.zeros_like(layer)) is None
    white = layer.copy()
    white[..., :3] = 255  # multiplying with white darkens nothing
    assert measures.effect_centre(white) is None


# ---- masks


def test_auc_of_perfect_useless_and_inverted_scores():
    truth = np.array([[1.0, 1.0], [0.0, 0.0]])
    assert measures.auc(np.array([[0.9, 0.8], [0.1, 0.2]]), truth) == 1
    assert measures.auc(np.array([[0.1, 0.2], [0.9, 0.8]]), truth) == 0
    assert measures.auc(np.full((2, 2), 0.4), truth) == 0.5
    assert math.isnan(measures.auc(truth, np.ones((2, 2))))
    assert math.isnan(measures.auc(truth, np.zeros((2, 2))))


def test_auc_is_the_probability_that_an_inside_score_is_higher():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 6, 60) / 5, rng.random(60)
    inside, outside = scores[truth > 0.5], scores[truth <= 0.5]
    pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    assert measures.auc(scores, truth) == pytest.approx(np.mean(pairs))


def test_soft_iou():
    assert measures.soft_iou(np.array([0.5, 0.0]), np.array([1.0, 0.0])) == 0.5
    assert measures.soft_iou(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.5])) == pytest.approx(1 / 2)
    assert measures.soft_iou(ALPHA, ALPHA) == 1
    assert math.isnan(measures.soft_iou(np.zeros(4), np.zeros(4)))


def test_pooling_takes_the_mean_of_each_tokens_square():
    assert measures.pooled(np.array([[1.0, 0.0], [1.0, 1.0]]), (1, 1)).tolist() == [[0.75]]
    assert measures.pooled(ALPHA, (10, 10)).shape == (10, 10)
    quarter = np.zeros((8, 8))
    quarter[:4, :2] = 1
    assert measures.pooled(quarter, (2, 2)).tolist() == [[0.5, 0], [0, 0]]


def test_leak_is_measured_at_matched_coverage_at_any_scale():
    truth = np.zeros((4, 4))
    truth[:2, :2] = 1
    assert measures.leak(truth * 0.01, truth) == 0
    assert measures.leak(1 - truth, truth) == 1
    half = truth.copy()
    half[0] = (1, 0, 1, 0)  # three of the object's four, one beside it
    assert measures.leak(half, truth) == pytest.approx(0.25)
    assert measures.leak(np.full((4, 4), 0.5), truth) == pytest.approx(0.75)  # chance: 4 of 16 lie on the object
    assert math.isnan(measures.leak(truth, np.zeros((4, 4))))


def test_a_mask_that_reproduces_translucency_correlates_with_alpha():
    alpha = np.zeros((10, 10))
    alpha[2:8, 2:8] = np.linspace(0.2, 0.9, 36).reshape(6, 6)
    assert measures.correlation_inside(0.5 * alpha + 0.1, alpha) == pytest.approx(1)
    assert measures.correlation_inside(1 - alpha, alpha) == pytest.approx(-1)


def test_spill_and_presence_measure_only_their_own_region():
    ground = opaque(100)
    inside, outside = ground.copy(), ground.copy()
    inside[ALPHA > 0.5, :3] = 151
    outside[:10, :, :3] = 151
    assert measures.presence(inside, ground, ALPHA) == pytest.approx(0.2)
    assert measures.spill(inside, ground, ALPHA) == 0
    assert measures.presence(outside, ground, ALPHA) == 0
    assert 0 < measures.spill(outside, ground, ALPHA) < 0.2


def test_crispness_of_a_solid_and_of_a_veiled_object():
    assert measures.crispness(ALPHA) == 1
    assert measures.crispness(ALPHA * 0.5) == 0
    assert math.isnan(measures.crispness(ALPHA * 0))


def test_a_mask_outside_the_object_is_a_fraction_of_its_sum():
    alpha = np.zeros((8, 8))
    alpha[:4] = 1
    assert measures.outside(np.ones((8, 8)), alpha) == 0.5
    assert measures.outside(alpha, alpha) == 0
    assert math.isnan(measures.outside(np.zeros((8, 8)), alpha))


def test_stray_alpha_lies_beyond_the_margin_of_the_solid_object():
    alpha = np.zeros((50, 50))
    alpha[20:30, 20:30] = 1
    alpha[17:20, 20:30] = 0.4  # within three pixels of it
    assert measures.stray_alpha(alpha) == 0
    alpha[:5] = 0.5
    assert measures.stray_alpha(alpha) == pytest.approx(0.5 * 250 / (2500 - 16 * 16))
