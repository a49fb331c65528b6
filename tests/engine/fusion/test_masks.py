import math

import pytest
import torch

from layerfusion.engine.fusion.masks import (
    background_tokens,
    dilate,
    evidence,
    ground_tokens,
    hard_mask,
    resample,
    soft_mask,
    stretch,
)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def shown():
    return evidence(torch.rand((2, 64), generator=torch.Generator().manual_seed(1)), torch.ones(2, 64))


@pytest.mark.parametrize("boundary", [1.0, 10.0, 50.0])
def test_soft_mask_stays_within_its_bounds_and_reaches_them(shown, boundary):
    soft = soft_mask(shown, boundary)
    assert soft.min().item() == pytest.approx(sigmoid(-boundary / 2), rel=1e-5)
    assert soft.max().item() == pytest.approx(sigmoid(boundary / 2), rel=1e-5)


def test_low_boundary_leaks_and_high_boundary_approaches_the_hard_mask(shown):
    hard = hard_mask(shown)
    gap = [(soft_mask(shown, d) - hard).abs().mean().item() for d in (1.0, 10.0, 1000.0)]
    assert gap[0] > gap[1] > gap[2]
    assert gap[2] < 0.01


@pytest.mark.parametrize("boundary", [0.5, 10.0, 100.0])
def test_hard_mask_is_the_thresholded_soft_mask_for_any_boundary(shown, boundary):
    torch.testing.assert_close(hard_mask(shown), (soft_mask(shown, boundary) > 0.5).float())


def test_maps_that_cannot_be_trusted_make_no_object(shown):
    untrusted = torch.zeros(2, 1)
    torch.testing.assert_close(soft_mask(shown, 10.0, untrusted), torch.full((2, 64), sigmoid(-5)))
    assert hard_mask(shown, untrusted).sum() == 0


def test_stretched_mask_uses_the_whole_range(shown):
    stretched = stretch(soft_mask(shown, 2.0), 2.0)
    torch.testing.assert_close(stretched.amin(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(stretched.amax(dim=1), torch.ones(2))


def test_another_centre_moves_the_masks_ends_but_not_its_middle(shown):
    centre = torch.tensor([[0.3], [0.6]])
    soft, hard = soft_mask(shown, 10.0, centre=centre), hard_mask(shown, threshold=centre)
    torch.testing.assert_close(hard, (soft > 0.5).float())
    torch.testing.assert_close(soft.amin(dim=1), torch.sigmoid(-10 * centre[:, 0]))
    untrusted = soft_mask(shown, 10.0, torch.zeros(2, 1), centre)
    torch.testing.assert_close(untrusted, torch.sigmoid(-10 * centre).expand(2, 64))
    stretched = stretch(soft, 10.0, centre)
    torch.testing.assert_close(stretched.amin(dim=1), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(stretched.amax(dim=1), torch.ones(2))


def test_a_lower_content_weight_widens_a_peaked_content_until_the_structure_is_left():
    place = torch.linspace(-1, 1, 65)
    structure = (place.abs() < 0.5).float()[None]
    content = torch.exp(-((place / 0.15) ** 2))[None]
    covered = [hard_mask(evidence(structure, content, weight=g)).mean().item() for g in (2.0, 1.0, 0.3, 0.05, 0.0)]
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
