import pytest
import torch
import torch.nn.functional as F

from layerfusion.engine.fusion.blending import blend_attention, layer_weights, mixture_weights, share_background


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(2)
    return torch.randn((3, 16, 4), generator=generator), torch.randn((16, 4), generator=generator)


def test_empty_masks_change_nothing(rows):
    foregrounds, blended = rows
    nothing = torch.zeros(3, 16)
    new_foregrounds, new_blended = blend_attention(foregrounds, blended, nothing, nothing)
    assert torch.equal(new_foregrounds, foregrounds)
    assert torch.equal(new_blended, blended)


def test_full_mask_gives_the_foreground(rows):
    foregrounds, blended = rows[0][:1], rows[1]
    full = torch.ones(1, 16)
    new_foregrounds, new_blended = blend_attention(foregrounds, blended, full, full)
    assert torch.equal(new_blended, foregrounds[0])
    assert torch.equal(new_foregrounds, foregrounds)


def test_equal_streams_stay_as_they_are(rows):
    blended = rows[1]
    foregrounds = blended.expand(3, -1, -1)
    soft, hard = torch.rand(3, 16), (torch.rand(3, 16) > 0.5).float()
    new_foregrounds, new_blended = blend_attention(foregrounds, blended, soft, hard)
    torch.testing.assert_close(new_blended, blended)
    torch.testing.assert_close(new_foregrounds, foregrounds)


def test_one_foreground_follows_the_papers_two_updates(rows):
    foreground, blended = rows[0][:1], rows[1]
    soft, hard = torch.rand(1, 16), torch.rand(1, 16)
    m, h = soft[0, :, None], hard[0, :, None]
    mixed = m * foreground[0] + (1 - m) * blended
    new_foregrounds, new_blended = blend_attention(foreground, blended, soft, hard)
    torch.testing.assert_close(new_blended, mixed)
    torch.testing.assert_close(new_foregrounds[0], h * mixed + (1 - h) * foreground[0])


def test_with_the_streams_exchanged_both_take_one_mixture_inside_the_object(rows):
    """Fig. 2c taken literally: the blended stream is multiplied by the mask."""
    foreground, blended = rows[0][:1], rows[1]
    soft, hard = torch.rand(1, 16), torch.rand(1, 16)
    m, h = soft[0, :, None], hard[0, :, None]
    mixed = m * blended + (1 - m) * foreground[0]
    new_foregrounds, new_blended = blend_attention(foreground, blended, soft, hard, mixture="blended")
    torch.testing.assert_close(new_blended, h * mixed + (1 - h) * blended)
    torch.testing.assert_close(new_foregrounds[0], h * mixed + (1 - h) * foreground[0])


def test_a_held_foreground_is_shown_by_its_alpha_in_both_readings(rows):
    """It takes nothing (h = 0), so that the exchanged mixture alone would lose it from the blended picture."""
    foreground, blended = rows[0][:1], rows[1]
    alpha, held = torch.rand(1, 16), torch.tensor([[True]])
    one, other = (
        blend_attention(foreground, blended, alpha, torch.zeros(1, 16), held=held, mixture=mixture)
        for mixture in ("foreground", "blended")
    )
    assert torch.equal(one[0], foreground) and torch.equal(other[0], foreground)
    torch.testing.assert_close(one[1], other[1])


@pytest.mark.parametrize("mixture", ["foreground", "blended"])
@pytest.mark.parametrize("held", [(False, False, False), (False, True, False), (True, True, True)])
def test_the_weights_of_all_streams_sum_to_one(mixture, held):
    """Also with hard masks that are not binary."""
    soft, hard = torch.rand(3, 256), torch.rand(3, 256)
    weights, rest = mixture_weights(soft, hard, torch.tensor(held)[:, None], mixture)
    torch.testing.assert_close(weights.sum(dim=0) + rest, torch.ones(256))
    assert weights.amin() >= 0 and rest.amin() >= -1e-6


@pytest.mark.parametrize("mixture", ["foreground", "blended"])
def test_equal_streams_stay_as_they_are_in_both_readings(rows, mixture):
    foregrounds = rows[1].expand(3, -1, -1)
    for update in ("hard", "soft", "hard_raw"):
        masks = torch.rand(2, 3, 16)
        new, mixed = blend_attention(foregrounds, rows[1], masks[0], masks[1], mixture=mixture, update=update)
        torch.testing.assert_close(mixed, rows[1])
        torch.testing.assert_close(new, foregrounds)


def test_results_lie_between_the_inputs(rows):
    foregrounds, blended = rows
    _, mixed = blend_attention(foregrounds, blended, torch.rand(3, 16), torch.zeros(3, 16))
    everything = torch.cat([foregrounds, blended[None]])
    assert bool((mixed <= everything.amax(dim=0) + 1e-6).all())
    assert bool((mixed >= everything.amin(dim=0) - 1e-6).all())


def test_without_an_update_the_foregrounds_do_not_change(rows):
    foregrounds, blended = rows
    left, _ = blend_attention(foregrounds, blended, torch.rand(3, 16), torch.ones(3, 16), update="none")
    assert left is foregrounds


def test_the_raw_update_takes_the_blended_activations_and_the_soft_one_uses_the_soft_mask(rows):
    foreground, blended = rows[0][:1], rows[1]
    soft, hard = torch.rand(1, 16), (torch.rand(1, 16) > 0.5).float()
    m, h = soft[0, :, None], hard[0, :, None]
    raw, _ = blend_attention(foreground, blended, soft, hard, update="hard_raw")
    torch.testing.assert_close(raw[0], h * blended + (1 - h) * foreground[0])
    gentle, _ = blend_attention(foreground, blended, soft, hard, update="soft")
    mixed = m * foreground[0] + (1 - m) * blended
    torch.testing.assert_close(gentle[0], m * mixed + (1 - m) * foreground[0])


def test_foreground_boundary_changes_only_what_the_foreground_takes(rows):
    foreground, blended = rows[0][:1], rows[1]
    soft, inner, hard = torch.rand(1, 16), torch.rand(1, 16), torch.ones(1, 16)
    updated, mixed = blend_attention(foreground, blended, soft, hard, inner)
    n = inner[0, :, None]
    torch.testing.assert_close(updated[0], n * foreground[0] + (1 - n) * blended)
    assert torch.equal(mixed, blend_attention(foreground, blended, soft, hard)[1])


def test_foreground_first_blends_the_updated_foregrounds(rows):
    foreground, blended = rows[0][:1], rows[1]
    soft, hard = torch.rand(1, 16), (torch.rand(1, 16) > 0.5).float()
    m, h = soft[0, :, None], hard[0, :, None]
    updated, mixed = blend_attention(foreground, blended, soft, hard, order="foreground_first")
    torch.testing.assert_close(updated[0], h * blended + (1 - h) * foreground[0])
    torch.testing.assert_close(mixed, m * updated[0] + (1 - m) * blended)


def test_hidden_parts_are_updated_only_without_amodal(rows):
    foregrounds, blended = rows[0][:2], rows[1]
    soft, hard = torch.full((2, 16), 0.5), torch.ones(2, 16)
    whole, _ = blend_attention(foregrounds, blended, soft, hard)
    assert torch.equal(whole[0], foregrounds[0])
    torch.testing.assert_close(whole[1], (foregrounds[1] + blended) / 2)
    seen, _ = blend_attention(foregrounds, blended, soft, hard, amodal=False)
    torch.testing.assert_close(seen[0], (foregrounds[0] + blended) / 2)


def test_weights_sum_to_one_and_an_opaque_top_hides_the_rest():
    soft = torch.rand(4, 16)
    weights, rest = layer_weights(soft)
    torch.testing.assert_close(weights.sum(dim=0) + rest, torch.ones(16))
    weights, rest = layer_weights(torch.cat([soft, torch.ones(1, 16)]))
    assert weights[:-1].abs().sum() == 0
    assert rest.abs().sum() == 0


class TestSharing:
    @pytest.fixture
    def streams(self):
        generator = torch.Generator().manual_seed(3)
        return [torch.randn((1, 2, 16, 8), generator=generator) for _ in range(6)]

    @pytest.mark.parametrize("strength", [0.25, 1.0])
    def test_equal_streams_change_nothing_whatever_the_mask(self, streams, strength):
        query, key, value = streams[:3]
        plain = F.scaled_dot_product_attention(query, key, value, scale=0.4)
        for tokens in (torch.arange(0), torch.arange(16), torch.arange(0, 16, 3)):
            shared = share_background(query, key, value, key, value, tokens, strength=strength, scale=0.4)
            torch.testing.assert_close(shared, plain, atol=1e-5, rtol=1e-4)

    def test_unweighted_duplicates_would_have_changed_something(self, streams):
        query, key, value = streams[:3]
        background = torch.arange(16) % 3 == 0
        plain = F.scaled_dot_product_attention(query, key, value, scale=0.4)
        doubled = F.scaled_dot_product_attention(
            query,
            torch.cat([key, key[:, :, background]], dim=2),
            torch.cat([value, value[:, :, background]], dim=2),
            scale=0.4,
        )
        assert (doubled - plain).abs().max() > 0.05

    def test_without_shared_tokens_nothing_changes(self, streams):
        query, key, value, other_key, other_value, _ = streams
        none = torch.arange(0)
        shared = share_background(query, key, value, other_key, other_value, none, strength=1.0, scale=0.4)
        plain = F.scaled_dot_product_attention(query, key, value, scale=0.4)
        torch.testing.assert_close(shared, plain, atol=1e-5, rtol=1e-4)

    def test_it_is_attention_over_the_weighted_union(self, streams):
        query, key, value, other_key, other_value, _ = streams
        background = (torch.arange(16) < 5).float()
        own = (query @ key.mT * 0.4).exp() * torch.where(background > 0, 0.75, 1.0)
        other = (query @ other_key.mT * 0.4).exp() * background * 0.25
        expected = (own @ value + other @ other_value) / (own.sum(-1) + other.sum(-1))[..., None]
        tokens = torch.arange(5)
        shared = share_background(query, key, value, other_key, other_value, tokens, strength=0.5, scale=0.4)
        torch.testing.assert_close(shared, expected, atol=1e-5, rtol=1e-4)
