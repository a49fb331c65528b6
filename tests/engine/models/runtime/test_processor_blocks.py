import copy

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from layerfusion.engine.models.runtime.processor_blocks import shorten_passes

CLOSE = {"atol": 2e-5, "rtol": 2e-4}
ROWS = 3


SMALL = {
    "sample_size": 8,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (8, 16, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 2,
    "cross_attention_dim": 16,
    "use_linear_projection": True,
}


@pytest.fixture(scope="module")
def unets():
    """A small UNet with everything that SDXL's has, and a copy of it with short passes."""
    torch.manual_seed(0)
    own = UNet2DConditionModel(**SMALL).eval()
    return own, shortened(own)


def shortened(network):
    short = copy.deepcopy(network)
    shorten_passes(short)
    return short


def predict(unet, height=8, width=8):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn((ROWS, 4, height, width), generator=generator)
    words = torch.randn((ROWS, 5, 16), generator=generator)
    return unet(latents, torch.tensor(300), encoder_hidden_states=words, return_dict=False)[0]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12), (10, 6)], ids=str)  # 10 and 6 are no multiples of 4
def test_a_unet_predicts_the_same(unets, height, width):
    own, short = unets
    with torch.inference_mode():
        torch.testing.assert_close(predict(short, height, width), predict(own, height, width), **CLOSE)


def test_a_vae_decodes_and_encodes_the_same():
    torch.manual_seed(0)
    own = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 16),
        norm_num_groups=4,
    ).eval()
    short, latents = shortened(own), torch.randn(2, 4, 4, 6)
    with torch.inference_mode():
        decoded = own.decode(latents, return_dict=False)[0]
        torch.testing.assert_close(short.decode(latents, return_dict=False)[0], decoded, **CLOSE)
        mean = own.encode(decoded, return_dict=False)[0].mean
        torch.testing.assert_close(short.encode(decoded, return_dict=False)[0].mean, mean, **CLOSE)


def louder(_module: torch.nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    return 1.01 * output


HOOKED = (torch.nn.Conv2d, torch.nn.Linear, torch.nn.GroupNorm, torch.nn.LayerNorm)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "1x1"])
def test_hooks_within_a_block_change_what_they_change(linear):
    torch.manual_seed(0)
    own = UNet2DConditionModel(**{**SMALL, "use_linear_projection": linear}).eval()
    short = shortened(own)
    with torch.inference_mode():
        plain = predict(short)
        for unet in (own, short):
            for module in unet.modules():
                if isinstance(module, HOOKED) or type(module).__name__ in ("FeedForward", "GEGLU"):
                    module.register_forward_hook(louder)
        torch.testing.assert_close(predict(short), predict(own), **CLOSE)
        assert (predict(short) - plain).abs().max() > 1e-3


def test_weights_that_are_replaced_later_are_used(unets):
    own, short = (copy.deepcopy(unet) for unet in unets)
    with torch.inference_mode():
        before = predict(short)
        for name, parameter in list(own.named_parameters()):
            path, _, kind = name.rpartition(".")
            new = torch.nn.Parameter(parameter * 1.1, requires_grad=False)
            for unet in (own, short):
                setattr(unet.get_submodule(path), kind, new)
        after = predict(short)
        torch.testing.assert_close(after, predict(own), **CLOSE)
    assert (after - before).abs().max() > 1e-3


def test_hooks_of_blocks_run(unets):
    _, short = unets
    block, ran = short.get_submodule("up_blocks.1.attentions.0"), []
    hook = block.register_forward_hook(lambda *_: ran.append("after"))
    try:
        with torch.inference_mode():
            predict(short)
    finally:
        hook.remove()
    assert ran == ["after"]


def test_with_gradients_the_passes_of_diffusers_run(unets):
    own, short = unets
    torch.testing.assert_close(predict(short).detach(), predict(own).detach(), **CLOSE)
    predict(short).sum().backward()
    assert all(parameter.grad is not None for parameter in short.parameters())
    short.zero_grad(set_to_none=True)
