"""The options for researchers, tested on pure functions: each changes what it describes and nothing else."""

import math

import pytest
import torch

from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.masks import evidence, hard_mask, otsu_threshold, resample
from layerfusion.engine.fusion.priors import content_confidence, minmax, normalised, participation
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.options.fusion import FusionSettings

GRID = (8, 8)


@pytest.fixture
def heads():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn((2, 3, count, 8), generator=generator) for count in (64, 64, 7)]


def test_heads_are_averaged_in_three_ways(heads):
    query, key, _ = heads
    ratios = {
        how: participation(query, key, scale=0.4, heads=how) for how in ("stat_mean", "stat_harmonic", "map_mean")
    }
    single = torch.stack([participation(query[:, [h]], key[:, [h]], scale=0.4) for h in range(3)])
    torch.testing.assert_close(ratios["stat_mean"], single.mean(dim=0))
    torch.testing.assert_close(ratios["stat_harmonic"], 3 / (1 / single).sum(dim=0))
    assert bool((ratios["map_mean"] >= ratios["stat_harmonic"] - 1e-3).all())


def test_the_end_of_the_prompt_is_one_token_or_more(heads):
    query, _, key = heads
    token = torch.tensor([3, 5])
    columns = (query @ key.mT * 0.4).softmax(dim=-1).mean(dim=1)
    for counted, expected in (
        ("first", [columns[0, :, 3], columns[1, :, 5]]),
        ("with_padding", [columns[0, :, 3:].sum(-1), columns[1, :, 5:].sum(-1)]),
        ("last_word", [columns[0, :, 2], columns[1, :, 4]]),
    ):
        found = content_confidence(query, key, token, scale=0.4, counted=counted)
        torch.testing.assert_close(found, torch.stack(expected))


def test_content_is_normalised_as_the_option_says():
    content = torch.tensor([[0.1, 0.2, 0.4]])
    assert torch.equal(normalised(content, "none"), content)
    torch.testing.assert_close(normalised(content, "max"), content / 0.4)
    assert torch.equal(normalised(content, "minmax"), minmax(content))


def test_masks_are_made_of_both_priors_or_one():
    structure, content = torch.rand(2, 64), torch.rand(2, 64)
    assert torch.equal(evidence(structure, content, "structure"), structure / structure.amax(dim=1, keepdim=True))
    assert torch.equal(evidence(structure, content, "content"), content / content.amax(dim=1, keepdim=True))
    product = structure * content
    assert torch.equal(evidence(structure, content), product / product.amax(dim=1, keepdim=True))


def test_otsu_finds_the_gap_between_object_and_backdrop():
    shown = torch.cat([torch.linspace(0.0, 0.15, 50), torch.linspace(0.28, 0.4, 14)])[None]
    threshold = otsu_threshold(shown)
    assert 0.15 <= threshold.item() < 0.29
    assert hard_mask(shown, math.inf, 1.0, threshold).sum() == 14
    assert hard_mask(shown, math.inf).sum() == 0


def test_resampling_follows_its_kernel():
    corner = torch.zeros(1, 16)
    corner[0, 0] = 1
    assert resample(corner, (4, 4), (2, 2)).tolist() == [[0.25, 0, 0, 0]]
    assert resample(corner, (4, 4), (8, 8), "nearest").sum() == 4
    assert set(resample(corner, (4, 4), (2, 2), "nearest").unique().tolist()) <= {0.0, 1.0}
    assert resample(corner, (4, 4), (8, 8), "bilinear").max() == 1


def coupling(settings=None, count=1, **values):
    """A coupling after a prior pass that has measured noise in two blocks."""
    made = Coupling(Streams(count), settings or FusionSettings(), GRID, torch.zeros(count, dtype=torch.long), **values)
    generator = torch.Generator().manual_seed(1)
    with made.forward(Pass.PRIOR):
        made.note_structure(1 + 63 * torch.rand((count, 64), generator=generator), GRID)
        for block in ("down_blocks.0", "up_blocks.1"):
            made.note_content(block, torch.rand((count, 64), generator=generator), GRID)
    return made


def masks(made, block="up_blocks.1"):
    """The masks that a coupled forward in the middle of the job applies."""
    with made.forward(Pass.COUPLED, 0.5):
        return made.masks(block, GRID)


def test_only_named_blocks_and_grids_large_enough_are_coupled():
    made = coupling(FusionSettings.from_values({"blend_blocks": "up_blocks, mid_block"}))
    with made.forward(Pass.COUPLED):
        assert made.couples("up_blocks.1", GRID)
        assert not made.couples("down_blocks.0", GRID)
        assert not made.couples("up_blocks.1", (4, 4))


def test_each_block_has_its_own_content_or_the_mean():
    own, mean = (
        FusionSettings.from_values({"content_source": "prior", "content_layers": layers}) for layers in ("block", "all")
    )
    for settings, alike in ((own, False), (mean, True)):
        made = coupling(settings)
        same = torch.allclose(masks(made, "down_blocks.0").soft, masks(made, "up_blocks.1").soft)
        assert same is alike


def test_smoothing_averages_the_maps_with_the_last_ones():
    sharp, smooth = coupling(), coupling(FusionSettings.from_values({"mask_smoothing": 0.75}))
    for made in (sharp, smooth):
        before = made.priors.structure[0].clone()
        with made.forward(Pass.PRIOR):
            made.note_structure(torch.full((1, 64), 20.0), GRID)
    torch.testing.assert_close(sharp.priors.structure[0], torch.full((1, 64), 20.0))
    torch.testing.assert_close(smooth.priors.structure[0], 0.75 * before + 5.0)


def test_foreground_boundary_does_not_change_the_blended_pictures_mask():
    plain, gentle = coupling(), coupling(FusionSettings(foreground_boundary=1.0))
    assert torch.equal(masks(plain).soft, masks(gentle).soft)
    assert torch.equal(masks(plain).soft, masks(plain).inner)
    spread = [masks(made).inner.std() for made in (plain, gentle)]
    assert spread[1] < 0.5 * spread[0]


def test_otsus_threshold_centres_the_mask_and_the_content_has_its_weight():
    block, settings = (
        "up_blocks.1",
        FusionSettings.from_values({"soft_mode": "otsu", "hard_mode": "otsu", "content_weight": 0.3}),
    )
    made = coupling(settings)
    shown, _ = made.builder.evidence(block, GRID)
    made_masks = masks(made)
    torch.testing.assert_close(made_masks.soft, torch.sigmoid(10 * (shown - otsu_threshold(shown))))
    assert torch.equal(made_masks.hard, (made_masks.soft > 0.5).float())
    assert not torch.equal(shown, coupling().builder.evidence(block, GRID)[0])


@pytest.mark.parametrize(
    ("when", "count", "spread"), [("several", 1, False), ("several", 2, True), ("always", 1, True)]
)
def test_masks_are_stretched_to_the_full_range_if_the_option_is_set(when, count, spread):
    settings = FusionSettings.from_values({"normalise": when, "decision_boundary": 2.0, "soft_mode": "sigmoid"})
    made = masks(coupling(settings, count))
    assert bool(made.soft.min() < 0.01) is spread
    assert bool(made.hard.min() < 0.01) is spread


def test_a_kept_shape_is_its_alpha_and_a_relit_one_is_coupled_after_its_strength():
    alpha = torch.zeros(1, 64)
    alpha[0, :20] = 1
    held = masks(coupling(shapes={0: KnownShape(alpha)}))
    assert torch.equal(held.soft, alpha) and held.hard.sum() == 0 and held.held.all()
    free = masks(coupling(shapes={0: KnownShape(alpha, held_until=0.6)}))
    torch.testing.assert_close(free.hard, torch.sigmoid(10 * (alpha - 0.5)))
    assert not free.held.any()
    still_held = masks(coupling(shapes={0: KnownShape(alpha, held_until=0.4)}))
    assert torch.equal(still_held.soft, alpha) and still_held.hard.sum() == 0


def test_by_default_the_masks_are_those_that_the_paper_prints():
    """From the raw maps of one coupling: m = s c scaled to the maximum 1, h = σ(10 (m - 1/2))."""
    made = coupling(FusionSettings.from_values({"contrast_gate": 0.0}), count=2)
    structure, content = made.priors.structure[0], made.priors.block_content["up_blocks.1"][0]
    product = (1 - minmax(structure)) * minmax(content)
    soft = product / product.amax(dim=1, keepdim=True)
    found = masks(made)
    torch.testing.assert_close(found.soft, soft, atol=1e-6, rtol=0)
    plain = masks(coupling(FusionSettings.from_values({"contrast_gate": 0.0, "normalise": "never"}), count=2))
    torch.testing.assert_close(plain.hard, torch.sigmoid(10 * (soft - 0.5)), atol=1e-6, rtol=0)


def test_the_former_reading_is_still_a_choice():
    """m = σ(d (u - 1/2)) and h = 1 where m > 1/2."""
    made = coupling(FusionSettings.from_values({"soft_mode": "sigmoid", "hard_mode": "step", "decision_boundary": 5.0}))
    shown, _ = made.builder.evidence("up_blocks.1", GRID)
    found = masks(made)
    torch.testing.assert_close(found.soft, torch.sigmoid(5 * (shown - 0.5)))
    assert torch.equal(found.hard, (found.soft > 0.5).float())


def test_the_decision_boundary_belongs_to_the_hard_mask():
    low, high = (masks(coupling(FusionSettings(decision_boundary=d))) for d in (2.0, 50.0))
    assert torch.equal(low.soft, high.soft)
    assert high.hard.std() > 2 * low.hard.std()


def test_a_lone_border_is_left_out_of_the_masks():
    """Two tokens of a 64-token side: the ring lights up in both raw maps and is no object."""
    grid = (64, 64)
    inner = torch.zeros(grid)
    inner[2:-2, 2:-2] = 1
    place = torch.zeros(grid)
    place[20:40, 20:40] = 1
    participation, content = 1 + 200 * (1 - place) * inner, 0.1 + 0.3 * place + 0.5 * (1 - inner)
    found = {}
    for margin in (0.03, 0.0):
        settings = FusionSettings.from_values({"border_margin": margin})
        made = Coupling(Streams(1), settings, grid, torch.zeros(1, dtype=torch.long))
        with made.forward(Pass.PRIOR):
            made.note_structure(participation.flatten()[None], grid)
            made.note_content("block", content.flatten()[None], grid)
        with made.forward(Pass.COUPLED, 0.5):
            found[margin] = made.masks("block", grid).soft.view(grid)
    torch.testing.assert_close(found[0.03], place, atol=1e-5, rtol=0)
    assert found[0.0][0].min() > 0.9


@pytest.mark.parametrize("source", ["live", "prior"])
def test_content_is_the_blended_streams_as_soon_as_a_forward_has_one(source):
    """The first coupled forward starts from the prior pass; later prior passes leave the blended stream's content."""
    made = coupling(FusionSettings.from_values({"content_from": "blended", "content_source": source}))
    first = made.priors.content[0]
    blended = torch.linspace(0, 1, 64)[None]
    with made.forward(Pass.COUPLED, 0.9):
        assert made.content_of_blended and made.measures_content
        made.note_content("up_blocks.1", blended, GRID)
    assert not torch.equal(made.priors.content[0], first)
    assert torch.equal(made.priors.block_content["up_blocks.1"][0], blended)
    with made.forward(Pass.PRIOR, 0.8):
        assert not made.measures_content
        made.note_structure(1 + 63 * torch.rand(1, 64), GRID)
    assert torch.equal(made.priors.content[0], blended)
