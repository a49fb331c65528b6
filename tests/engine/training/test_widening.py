"""A wide UNet grown from a narrow one computes what it did."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.widening import widened


def answers(*unets, channels=4):
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, channels, 16, 16, generator=generator)
    conditions = {
        "encoder_hidden_states": torch.randn(2, 8, 256, generator=generator),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(2, 128, generator=generator),
            "time_ids": torch.tensor([[128.0, 128, 0, 0, 128, 128]] * 2),
        },
        "return_dict": False,
    }
    with torch.inference_mode():
        return [unet(latents, torch.tensor([70, 800]), **conditions)[0] for unet in unets]


@pytest.mark.parametrize("embedding", [None, 128])
def test_twice_as_wide_it_computes_the_same(bundle, embedding):
    wide = widened(bundle.unet, {"block_out_channels": [64, 128, 256], "time_embedding_dim": embedding})
    before, after = answers(bundle.unet, wide)
    torch.testing.assert_close(after, before, rtol=0, atol=2e-3 * float(before.std()))


def test_half_as_wide_again_it_computes_nearly_the_same(bundle):
    wide = widened(bundle.unet, {"block_out_channels": [48, 96, 128], "time_embedding_dim": 128})
    before, after = answers(bundle.unet, wide)
    assert float((after - before).square().mean() / before.var()) < 0.3


@pytest.mark.parametrize("widths", [[48, 96, 128], [64, 128, 256]])
def test_it_can_be_kept_in_half_precision(bundle, widths):
    wide = widened(bundle.unet, {"block_out_channels": widths, "time_embedding_dim": 128})
    largest = max(float(value.abs().max()) for value in bundle.unet.state_dict().values())
    assert all(float(value.abs().max()) < 8 * largest for value in wide.state_dict().values())


def test_copies_can_part(bundle):
    wide = widened(bundle.unet, {"block_out_channels": [64, 128, 256]})
    assert isinstance(wide, UNet2DConditionModel)
    for latents in (wide.conv_norm_out.weight, wide.conv_in.weight):
        torch.testing.assert_close(latents[0], latents[1])  # two copies of one channel
    reads = wide.conv_out.weight[:, 0] / wide.conv_out.weight[:, 1]
    assert not torch.allclose(reads, torch.ones_like(reads), atol=0.02)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"block_out_channels": [16, 64, 128]}, "32 channels cannot become one of 16"),
        ({"block_out_channels": [64, 64, 128]}, "other layers"),
        ({"cross_attention_dim": 512}, "cross_attention_dim"),
    ],
)
def test_what_cannot_be_grown_is_named(bundle, config, said):
    with pytest.raises(InvalidRequest, match=said):
        widened(bundle.unet, config)
