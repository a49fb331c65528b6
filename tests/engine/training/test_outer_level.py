"""A UNet with one more level outside draws what it drew, enlarged."""

import pytest
import torch
import torch.nn.functional as F

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.geometry import stride_of
from layerfusion.engine.training.outer_level import is_outer, moved_inwards, with_outer_level


def one_more(unet):
    """What differs in the configuration of a UNet with one more level."""
    widths = list(unet.config["block_out_channels"])
    return {"block_out_channels": [widths[0], *widths]}


@torch.inference_mode()
def test_at_first_it_draws_what_the_base_draws_enlarged(bundle):
    deeper = with_outer_level(bundle.unet, one_more(bundle.unet))
    conditions = {
        "encoder_hidden_states": torch.randn(1, 8, 256),
        "added_cond_kwargs": {"text_embeds": torch.randn(1, 128), "time_ids": torch.zeros(1, 6)},
        "return_dict": False,
    }
    large = torch.randn(1, 4, 1, 1).expand(1, 4, 32, 32)  # even ground is the same at every size, save at the rim
    found = deeper(large, torch.tensor([400]), **conditions)[0]
    features = bundle.unet.conv_in(large)[:, :, 8:24, 8:24]
    assert torch.allclose(F.avg_pool2d(features, 2), features[:, :, ::2, ::2], atol=1e-5)
    expected = bundle.unet(large[:, :, ::2, ::2], torch.tensor([400]), **conditions)[0]
    small = F.avg_pool2d(found, 2)
    assert float((small - expected).square().mean() / expected.square().mean()) < 0.25


def test_the_outer_level_is_what_the_base_lacks_and_what_touches_it(bundle):
    deeper = with_outer_level(bundle.unet, one_more(bundle.unet))
    base = bundle.unet.state_dict()
    inner = {name for name, _ in deeper.named_parameters() if not is_outer(name, deeper)}
    assert inner < {moved_inwards(name) for name in base}
    assert {name.split(".")[0] for name in set(dict(deeper.named_parameters())) - inner} == {
        *("conv_in", "conv_out", "conv_norm_out", "down_blocks", "up_blocks")
    }
    assert is_outer("unet.down_blocks.0.resnets.0.conv1.weight", deeper)
    assert not is_outer("text_encoder.embeddings.weight", deeper)


def test_the_highest_attention_keeps_its_size_and_the_grid_doubles(bundle):
    deeper = with_outer_level(bundle.unet, one_more(bundle.unet))
    assert deeper.config["sample_size"] == 2 * bundle.unet.config["sample_size"]
    assert stride_of(deeper, bundle.vae) == 2 * stride_of(bundle.unet, bundle.vae)
    assert not any("attn" in name for name, _ in deeper.down_blocks[0].named_modules())
    before = {name for name, _ in bundle.unet.named_modules() if name.endswith("attn1")}
    assert len([name for name, _ in deeper.named_modules() if name.endswith("attn1")]) == len(before)


@pytest.mark.parametrize("change", [lambda w: [w[0] // 2, *w], lambda w: w, lambda w: [w[0], *w[:-1], 96]])
def test_what_is_no_outer_level_is_named(bundle, change):
    widths = change(list(bundle.unet.config["block_out_channels"]))
    with pytest.raises(InvalidRequest, match="one more outside"):
        with_outer_level(bundle.unet, {"block_out_channels": widths})
