import math

import pytest
import torch

from layerfusion.engine.fusion import priors
from layerfusion.engine.fusion.priors import (
    content_confidence,
    contrast,
    minmax,
    participation,
    structure_prior,
    token_grid,
)


@pytest.fixture
def query_key():
    generator = torch.Generator().manual_seed(0)
    return torch.randn((2, 3, 40, 8), generator=generator), torch.randn((2, 3, 40, 8), generator=generator)


@pytest.mark.parametrize("heads", ["stat_mean", "map_mean"])
def test_participation_counts_the_tokens_attended_to(query_key, heads):
    _, key = query_key
    uniform = participation(torch.zeros_like(key), key, scale=1.0, heads=heads)
    torch.testing.assert_close(uniform, torch.full((2, 40), 40.0))
    one_hot = torch.eye(40).expand(2, 3, 40, 40) * 1000
    torch.testing.assert_close(participation(one_hot, one_hot, scale=1.0, heads=heads), torch.ones(2, 40))


def test_participation_equals_its_log_sum_exp_form(query_key):
    query, key = (x.double() for x in query_key)
    logits = query @ key.mT * 0.3
    identity = (2 * logits.logsumexp(-1) - (2 * logits).logsumexp(-1)).exp().mean(dim=1)
    torch.testing.assert_close(participation(query, key, scale=0.3).double(), identity, rtol=1e-5, atol=1e-5)


def test_participation_ignores_key_order_and_follows_query_order(query_key):
    query, key = query_key
    plain, order = participation(query, key, scale=0.5), torch.randperm(40)
    torch.testing.assert_close(participation(query, key[:, :, order], scale=0.5), plain)
    torch.testing.assert_close(participation(query[:, :, order], key, scale=0.5), plain[:, order])


def test_participation_does_not_depend_on_the_chunk(query_key, monkeypatch):
    plain = participation(*query_key, scale=0.5, heads="map_mean")
    for chunk in (1, 7, 40):
        monkeypatch.setattr(priors, "_CHUNK", chunk)
        torch.testing.assert_close(participation(*query_key, scale=0.5, heads="map_mean"), plain)


def test_equal_heads_make_both_statistics_equal(query_key):
    query, key = (x[:, :1].expand(-1, 3, -1, -1) for x in query_key)
    torch.testing.assert_close(
        participation(query, key, scale=0.5, heads="map_mean"), participation(query, key, scale=0.5)
    )


def test_content_confidence_is_the_softmax_column(query_key):
    query, key = query_key
    token = torch.tensor([4, 11])
    expected = (query @ key.mT * 0.5).softmax(-1).mean(dim=1)[torch.arange(2), :, token]
    torch.testing.assert_close(content_confidence(query, key, token, scale=0.5), expected)
    everything = sum(content_confidence(query, key, torch.full((2,), j), scale=0.5) for j in range(40))
    torch.testing.assert_close(everything, torch.ones(2, 40))


def test_minmax_reaches_both_ends_and_survives_constants():
    values = torch.tensor([[3.0, 5.0, 4.0], [2.0, 2.0, 2.0]])
    torch.testing.assert_close(minmax(values), torch.tensor([[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(minmax(values * 7 + 2), minmax(values))


def test_structure_prior_is_bright_where_attention_is_focused():
    prior = structure_prior(torch.tensor([[1.0, 10.0, 100.0]]))
    assert prior[0, 0] == 1
    assert prior[0, 2] == 0
    assert bool((prior.diff() < 0).all())


def test_contrast_trusts_a_strong_map_and_not_a_flat_one():
    strong, flat = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[1.0, 1.0, 1.0, 1.001]])
    assert contrast(strong, 0.5).item() == 1
    assert contrast(flat, 0.5).item() < 0.01
    assert contrast(flat, 0.0).item() == 1
    assert contrast(torch.zeros(1, 4), 0.5).item() == 0


def test_token_grid_of_any_shape(subtests):
    for height, width in [(16, 16), (112, 144), (12, 20), (128, 128)]:
        for down in [1, 2, 4]:
            with subtests.test(height=height, width=width, down=down):
                grid = (math.ceil(height / down), math.ceil(width / down))
                assert token_grid(grid[0] * grid[1], height, width) == grid
