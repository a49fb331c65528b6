"""A thinner VAE begins with some of a trained one's channels, and learns to write its latents."""

import json

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.data import dataset
from layerfusion.engine.training.edition import read_edition
from layerfusion.engine.training.thinning import thinned
from layerfusion.engine.training.vae import AutoencoderStage


@pytest.fixture
def examples(tmp_path, sprites_folder):
    where = tmp_path / "pictures"
    where.mkdir()
    dataset._lay_out(where, 24, 64, (1, 1))
    dataset._draw_shard(dataset._Job(where, sprites_folder, 1, 0, 24, "train", 64, "first"))
    return dataset.load(where)


def test_as_wide_it_is_the_same_and_thinner_it_has_the_inner_levels(bundle):
    widths = list(bundle.vae.config["block_out_channels"])
    state = bundle.vae.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in thinned(bundle.vae, widths).state_dict().items())
    thin = thinned(bundle.vae, [8, 16, *widths[2:]]).state_dict()
    assert thin["encoder.conv_in.weight"].shape[0] == 8
    assert torch.equal(
        thin["encoder.mid_block.resnets.0.conv1.weight"], state["encoder.mid_block.resnets.0.conv1.weight"]
    )


@pytest.mark.parametrize("widths", [[16, 32, 64], [16, 32, 64, 128]])
def test_what_is_not_thinner_is_named(bundle, widths):
    with pytest.raises(InvalidRequest, match="narrower"):
        thinned(bundle.vae, widths)


def test_an_edition_with_narrower_levels_is_thinned(tmp_path, bundle):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [8, 8, 32, 96]}), encoding="utf-8")
    values = {"base": "tiny", "native_size": 256, "vae": "vae"}
    (tmp_path / "edition.json").write_text(json.dumps(values), encoding="utf-8")
    made = read_edition(tmp_path / "edition.json").make_vae(bundle.vae)
    assert list(made.config["block_out_channels"]) == [8, 8, 32, 96]
    assert made.config["scaling_factor"] == bundle.vae.config["scaling_factor"]


def test_it_learns_to_write_its_teachers_latents(bundle, examples):
    stage = AutoencoderStage(thinned(bundle.vae, [8, 8, 32, 96]), [(examples, 1.0)], examples, teacher=bundle.vae)
    assert stage.name == "thin"
    pictures = torch.from_numpy(stage._crops(np.random.default_rng(0))).permute(0, 3, 1, 2)

    def unlike():
        with torch.no_grad():
            return float(stage._unlike(pictures, stage.vae.encode(pictures).latent_dist.mean))

    before = unlike()
    draws, generator = np.random.default_rng(1), torch.Generator().manual_seed(1)
    for _ in range(10):
        for optimiser in stage.optimisers:
            optimiser.zero_grad()
        stage.loss(draws, generator)[0].backward()
        for optimiser in stage.optimisers:
            optimiser.step()
    assert unlike() < 0.9 * before


def test_a_teacher_of_other_latents_is_refused(bundle, examples):
    other = AutoencoderKL(**{**bundle.vae.config, "latent_channels": 16})
    with pytest.raises(InvalidRequest, match="16 channels at 8 px"):
        AutoencoderStage(other, [(examples, 1.0)], examples, teacher=bundle.vae)
