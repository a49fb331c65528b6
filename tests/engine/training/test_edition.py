"""A new edition grown from the embedded model: its shapes come from configuration, and what fits is taken over."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED
from layerfusion.engine.training.data import dataset
from layerfusion.engine.training.data.triplets import make_triplet
from layerfusion.engine.training.data.vocabulary import FIRST, SECOND
from layerfusion.engine.training.edition import read_edition
from layerfusion.engine.training.export import write_card
from layerfusion.engine.training.geometry import pixels_a_latent, stride_of
from layerfusion.engine.training.latents import KINDS, encode_all, load_latents
from layerfusion.engine.training.vae import AutoencoderStage
from layerfusion.engine.transparency.compact import CompactTransparentDecoder, CompactTransparentEncoder


def small_vae(widths=(8, 16), channels=2):
    torch.manual_seed(0)
    blocks: Any = {
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
    }
    return AutoencoderKL(
        block_out_channels=widths,
        **blocks,
        latent_channels=channels,
        norm_num_groups=2,
        sample_size=32,
        mid_block_add_attention=False,
    )


@pytest.fixture(scope="module")
def examples(sprites):
    rng = np.random.default_rng(5)
    drawn = [make_triplet(rng, sprites, name, native=32) for name in ("dog", "owl", "object", "smoke") * 3]
    fields = {field: np.stack([getattr(one, field) for one in drawn]) for field in dataset.FIELDS}
    return dataset.Examples(**fields, facts=[{"captions": one.captions} for one in drawn])


def edition_of(folder, **values):
    (folder / "edition.json").write_text(json.dumps({"base": "tiny", "native_size": 256, **values}), encoding="utf-8")
    return read_edition(folder / "edition.json")


@pytest.mark.parametrize(("vae", "crop"), [(small_vae(), 16), (small_vae((8, 16, 24), channels=8), 32)])
def test_crops_are_as_large_as_the_latents_ask(examples, vae, crop):
    stage = AutoencoderStage(vae, [(examples, 0.5), (examples, 0.5)], examples)
    stage._batch = 3
    crops = stage._crops(np.random.default_rng(0))
    assert crops.shape == (3, crop, crop, 3)
    assert crops.min() >= -1 and crops.max() <= 1
    loss, figures, _count = stage.loss(np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert torch.isfinite(loss) and figures["psnr"] > 0


@pytest.mark.parametrize("channels", [2, 8])
def test_latents_of_any_shape_are_kept(tmp_path, examples, channels):
    vae = small_vae() if channels == 2 else small_vae((8, 16, 24), channels=8)
    file = tmp_path / "latents.safetensors"
    sets = dict.fromkeys((kind.set for kind in KINDS.values()), examples)
    encode_all(vae, sets, file)
    read = load_latents(file)
    grid = 32 // pixels_a_latent(vae)
    assert read.latents["nameless"].shape == (len(examples), channels, grid, grid)
    assert len(read.latents["nameless_foreground"]) == 7
    assert read.shade["composite"].shape[1:] == (grid, grid)
    assert read.captions["nameless"][2].startswith("an object")


def test_a_card_is_an_edition_that_is_whole():
    edition = read_edition(EMBEDDED)
    native = read_manifest(EMBEDDED).native_size
    assert (edition.card, edition.native_size, edition.vae, edition.unet) == (EMBEDDED, native, None, None)


def test_a_card_says_which_vocabulary_it_was_trained_on(tmp_path):
    card = tmp_path / "model.json"
    shutil.copy(EMBEDDED, card)
    for known in (FIRST, SECOND):
        write_card(card, native_size=256, stride=64, vocabulary=known)
        assert read_edition(card).known is known


def test_the_embedded_models_stride_is_its_networks(bundle):
    assert stride_of(bundle.unet, bundle.vae) == bundle.spec.stride


def test_an_unknown_vocabulary_is_named(tmp_path):
    with pytest.raises(BrokenModel, match="not one of first, second"):
        edition_of(tmp_path, vocabulary="third")


def test_what_cannot_be_an_edition_is_named(tmp_path):
    (tmp_path / "edition.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BrokenModel, match=r"edition\.json"):
        read_edition(tmp_path / "edition.json")


def test_parts_without_weights_are_made_and_parts_with_weights_are_read(tmp_path, bundle):
    known = list(bundle.unet.config["block_out_channels"])
    for part, widths in {"vae": [8, 8, 32, 96], "unet": [known[0], *known]}.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps({"block_out_channels": widths}), encoding="utf-8")
    edition = edition_of(tmp_path, vae="vae", unet="unet", examples={"train": 500})
    assert edition.examples == {"train": 500}
    for part, make, base in (("vae", edition.make_vae, bundle.vae), ("unet", edition.make_unet, bundle.unet)):
        made: Any = make(base)
        assert made.config["block_out_channels"] != base.config["block_out_channels"]
        made.half().save_pretrained(tmp_path / part)
        read = make(base)
        assert read.dtype == torch.float32
        for name, value in read.state_dict().items():
            torch.testing.assert_close(value, made.state_dict()[name].float(), rtol=0, atol=0)


@pytest.mark.parametrize(("channels", "factor"), [(4, 8), (16, 16)])
def test_transparency_fits_the_latents(channels, factor):
    encoder, decoder = CompactTransparentEncoder(channels, factor), CompactTransparentDecoder(channels)
    offset = encoder(torch.zeros(1, 4, 64, 96))
    assert offset.shape == (1, channels, 64 // factor, 96 // factor)
    colours, alpha = decoder(torch.zeros(1, 3, 64, 96), offset)
    assert colours.shape == (1, 3, 64, 96) and alpha.shape == (1, 1, 64, 96)


def test_transparency_of_other_latents_takes_over_what_fits(tmp_path, bundle):
    deeper = small_vae((8, 8, 8, 8, 8), channels=16)
    made = edition_of(tmp_path).make_transparency(deeper, (bundle.encoder, bundle.decoder))
    old, new = bundle.decoder.state_dict(), made[1].state_dict()
    assert torch.equal(old["down.0.0.weight"], new["down.0.0.weight"])
    assert new["middle.0.weight"].shape[1] == old["middle.0.weight"].shape[1] + 12
