import math

import pytest
import torch

from layerfusion.engine.fusion.masks import (
    background_tokens,
    decision,
    dilate,
    evidence,
    ground_tokens,
    hard_mask,
    inner_tokens,
    resample,
    stretch,
    without_lone_border,
)
from layerfusion.engine.fusion.priors import structure_prior


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def shown():
    return evidence(torch.rand((2, 64), generator=torch.Generator().manual_seed(1)), torch.ones(2, 64))


def given(tokens=64, count=2):
    """Structure prior and content confidence of which the masks are computed by hand, in float64."""
    generator = torch.Generator().manual_seed(3)
    return (torch.rand((count, tokens), generator=generator, dtype=torch.float64) for _ in range(2))


def test_the_soft_mask_is_the_product_scaled_to_one():
    structure, content = given()
    soft = evidence(structure, content)
    for k in range(2):
        products = [s * c for s, c in zip(structure[k].tolist(), content[k].tolist(), strict=True)]
        assert soft[k].tolist() == pytest.approx([product / max(products) for product in products], abs=1e-6)
    assert soft.amin() > 0  # it is scaled, not stretched
    assert soft.amax(dim=1).tolist() == [1, 1]


@pytest.mark.parametrize("boundary", [1.0, 10.0, 50.0])
def test_the_hard_mask_is_the_sigmoid_of_the_soft_one(boundary):
    soft = evidence(*given())
    expected = [[sigmoid(boundary * (m - 0.5)) for m in row] for row in soft.tolist()]
    for row, wanted in zip(hard_mask(soft, boundary).tolist(), expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)


def test_a_growing_boundary_makes_the_hard_mask_a_step(shown):
    step = hard_mask(shown, math.inf)
    assert set(step.unique().tolist()) == {0, 1}
    assert torch.equal(step, (shown > 0.5).float())
    gap = [(hard_mask(shown, d) - step).abs().mean().item() for d in (1.0, 10.0, 1000.0)]
    assert gap[0] > gap[1] > gap[2]
    clear = (shown - 0.5).abs() > 0.01
    torch.testing.assert_close(hard_mask(shown, 1e4)[clear], step[clear], atol=1e-6, rtol=0)


@pytest.mark.parametrize("boundary", [0.5, 10.0, 100.0])
def test_a_decision_is_above_half_where_the_evidence_is(shown, boundary):
    torch.testing.assert_close(hard_mask(shown, math.inf), (decision(shown, boundary) > 0.5).float())


def test_maps_without_contrast_give_no_numbers_that_are_not_finite():
    nothing = torch.zeros(1, 16)
    assert torch.equal(evidence(nothing, torch.rand(1, 16)), nothing)


def test_maps_that_cannot_be_trusted_make_no_object(shown):
    untrusted = torch.zeros(2, 1)
    torch.testing.assert_close(decision(shown, 10.0, untrusted), torch.full((2, 64), sigmoid(-5)))
    assert hard_mask(shown, 10.0, untrusted).sum() == 0
    assert hard_mask(shown, math.inf, untrusted).sum() == 0


@pytest.mark.parametrize("mask", [decision, hard_mask])
def test_stretched_mask_uses_the_whole_range(mask):
    shown = torch.linspace(0, 1, 64).expand(2, -1)
    stretched = stretch(mask(shown, 2.0), 2.0)
    torch.testing.assert_close(stretched.amin(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(stretched.amax(dim=1), torch.ones(2))


def test_another_centre_moves_the_masks_ends_but_not_its_middle():
    shown = torch.linspace(0, 1, 64).expand(2, -1)
    centre = torch.tensor([[0.3], [0.6]])
    soft, hard = decision(shown, 10.0, centre=centre), hard_mask(shown, math.inf, threshold=centre)
    torch.testing.assert_close(hard, (soft > 0.5).float())
    torch.testing.assert_close(soft, hard_mask(shown, 10.0, threshold=centre))
    torch.testing.assert_close(soft.amin(dim=1), torch.sigmoid(-10 * centre[:, 0]))
    untrusted = decision(shown, 10.0, torch.zeros(2, 1), centre)
    torch.testing.assert_close(untrusted, torch.sigmoid(-10 * centre).expand(2, 64))
    stretched = stretch(soft, 10.0, centre)
    torch.testing.assert_close(stretched.amin(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(stretched.amax(dim=1), torch.ones(2))


def test_the_border_is_some_whole_tokens_wide_on_grids_that_have_an_inside():
    assert inner_tokens((64, 64), 0.0) is None
    assert inner_tokens((16, 16), 0.03) is None
    assert inner_tokens((4, 4), 0.25) is not None and inner_tokens((3, 64), 0.03) is None
    for grid, inner in (((64, 64), 60 * 60), ((32, 32), 30 * 30), ((56, 72), 52 * 68)):
        assert inner_tokens(grid, 0.03).sum() == inner


def test_border_tokens_give_neither_minimum_nor_maximum():
    ring = torch.full((16, 16), 5.0)
    ring[2:-2, 2:-2] = torch.linspace(10, 20, 144).view(12, 12)
    ring[0, 0], ring[15, 15] = 1.0, 90.0
    inner = inner_tokens((16, 16), 2 / 16)
    assert inner is not None
    inside = structure_prior(ring.flatten()[None], inner)[0]
    assert (inside[inner].amin(), inside[inner].amax()) == (0, 1)
    assert inside.amin() == 0 and inside.amax() == 1  # beyond the inner range it is cut
    assert structure_prior(ring.flatten()[None])[0][inner].amax() < 0.95
    bright = torch.ones(1, 256).masked_fill(inner, 0.5)
    assert evidence(bright, torch.ones(1, 256), among=inner).tolist() == [[1.0] * 256]


def test_the_border_is_object_only_if_its_neighbours_are():
    shown = torch.zeros(12, 12)
    shown[0, :] = shown[:, 11] = 0.7  # the border lights up
    shown[5:9, 0:4] = 0.9  # an object that the picture's left side cuts
    kept = without_lone_border(shown.flatten()[None], (12, 12), 1 / 12).view(12, 12)
    expected = torch.zeros(12, 12)
    expected[5:9, 0:4] = 0.9
    torch.testing.assert_close(kept, expected)
    assert torch.equal(without_lone_border(shown.flatten()[None], (12, 12), 0.0)[0], shown.flatten())


def test_a_lower_content_weight_widens_a_peaked_content_until_the_structure_is_left():
    place = torch.linspace(-1, 1, 65)
    structure = (place.abs() < 0.5).float()[None]
    content = torch.exp(-((place / 0.15) ** 2))[None]
    covered = [
        hard_mask(evidence(structure, content, weight=g), math.inf).mean().item() for g in (2.0, 1.0, 0.3, 0.05, 0.0)
    ]
    assert covered == sorted(covered) and covered[0] < covered[1] < covered[2] < covered[3]
    torch.testing.assert_close(evidence(structure, content, weight=0.0), evidence(structure, content, "structure"))


def test_resampling_keeps_constants_averages_down_and_is_identity_at_the_same_size():
    constant = torch.full((2, 6 * 10), 0.3)
    for grid in ((3, 5), (6, 10), (12, 20)):
        torch.testing.assert_close(resample(constant, (6, 10), grid), torch.full((2, grid[0] * grid[1]), 0.3))
    maps = torch.rand(1, 64)
    assert resample(maps, (8, 8), (8, 8)) is maps
    quarters = maps.view(4, 2, 4, 2).mean(dim=(1, 3)).flatten()
    torch.testing.assert_close(resample(maps, (8, 8), (4, 4))[0], quarters)


def test_shared_background_leaves_out_a_hollow_object_with_its_inside_and_a_margin():
    ring = torch.zeros(16, 16)
    ring[5:11, 5:11] = 1
    ring[7:9, 7:9] = 0
    background = background_tokens(ring.flatten()[None], (16, 16)).view(16, 16)
    expected = torch.ones(16, 16)
    expected[4:12, 4:12] = 0
    torch.testing.assert_close(background, expected)


def test_background_reaches_around_corners():
    wall = torch.zeros(16, 16)
    wall[2:, 8] = 1
    background = background_tokens(wall.flatten()[None], (16, 16)).view(16, 16)
    assert background[15, 0] == background[15, 15] == 1
    assert background[10, 7] == background[10, 9] == 0


def test_shadows_may_fall_about_the_lower_half_of_every_object_and_nowhere_else():
    shown = torch.zeros(2, 12, 12)
    shown[0, 4:8, 3:5] = 1  # with the token about it that is surely free: rows 3 to 8, columns 2 to 5
    place = ground_tokens(shown.flatten(1), (12, 12), 2 / 12).view(12, 12)
    wanted = torch.zeros(12, 12)
    wanted[5:11, 0:8] = 1
    assert torch.equal(place, wanted)  # the second one is not there and casts none


def test_dilation_grows_by_whole_tokens():
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4, 4] = 1
    assert dilate(mask, 2).sum() == 25
