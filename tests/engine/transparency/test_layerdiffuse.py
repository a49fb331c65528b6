"""The published networks: their exact tensors, and the computations around them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from layerfusion.engine.diffusion.layer_codec import decode_rgba, encode_rgba
from layerfusion.engine.models.runtime.vae import posterior
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder
from layerfusion.engine.transparency.views import median_of_views

KEYS = Path(__file__).parent / "data" / "unet1024_keys.txt"


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    return LayerDiffuseDecoder().eval().requires_grad_(False)


@pytest.fixture
def encoder():
    torch.manual_seed(1)
    return LayerDiffuseEncoder().eval().requires_grad_(False)


def published(bundle, encoder, decoder, **changes):
    """The embedded model with LayerDiffuse's networks instead of its own."""
    spec = bundle.spec
    transparency = replace(
        spec.transparency, kind="layerdiffuse", decoder_latent="unscaled", stride=64, offset_factor=300.0, views=8
    )
    spec = replace(spec, transparency=replace(transparency, **changes))
    return replace(bundle, spec=spec, encoder=encoder, decoder=decoder)


class TestLayout:
    def test_the_decoder_has_the_published_tensors_and_no_other(self):
        with torch.device("meta"):
            state = LayerDiffuseDecoder().state_dict()
        lines = [f"{key} {tuple(value.shape)}" for key, value in state.items()]
        assert lines == KEYS.read_text(encoding="utf-8").splitlines()
        assert len(state) == 538
        assert sum(value.numel() for value in state.values()) == 104_104_804

    def test_the_encoder_has_nine_convolutions(self):
        with torch.device("meta"):
            state = LayerDiffuseEncoder().state_dict()
        assert [key for key in state if key.endswith("weight")] == [f"blocks.{i}.weight" for i in range(0, 17, 2)]
        assert tuple(state["blocks.0.weight"].shape) == (32, 4, 3, 3)
        assert tuple(state["blocks.16.weight"].shape) == (4, 256, 3, 3)
        assert sum(value.numel() for value in state.values()) == 1_181_764

    def test_published_files_load_strictly(self):
        with torch.device("meta"):
            decoder = LayerDiffuseDecoder()
        state = {key: torch.zeros(value.shape, dtype=torch.float16) for key, value in decoder.state_dict().items()}
        decoder.load_state_dict(state, strict=True, assign=True)
        state.pop("latent_conv_in.bias")
        with pytest.raises(RuntimeError, match="latent_conv_in"):
            decoder.load_state_dict(state, strict=True)


def reference_decoder(state, rgb, latents):
    """A reference implementation of UNet1024 with plain functions, written from its description."""

    def conv(name, x, **options):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def norm(name, x):
        return F.group_norm(x, 4, state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)

    def resnet(name, x):
        y = conv(f"{name}.conv1", F.silu(norm(f"{name}.norm1", x)), padding=1)
        y = conv(f"{name}.conv2", F.silu(norm(f"{name}.norm2", y)), padding=1)
        return y + (conv(f"{name}.conv_shortcut", x) if f"{name}.conv_shortcut.weight" in state else x)

    def attention(name, x):
        batch, channels = x.shape[:2]
        tokens = norm(f"{name}.group_norm", x).flatten(2).transpose(1, 2)
        q, k, v = (
            F.linear(tokens, state[f"{name}.{p}.weight"], state[f"{name}.{p}.bias"])
            .view(batch, -1, channels // 8, 8)
            .transpose(1, 2)
            for p in ("to_q", "to_k", "to_v")
        )
        mixed = (q @ k.mT / math.sqrt(8)).softmax(-1) @ v
        out = F.linear(
            mixed.transpose(1, 2).flatten(2), state[f"{name}.to_out.0.weight"], state[f"{name}.to_out.0.bias"]
        )
        return x + out.transpose(1, 2).view_as(x)

    x = conv("conv_in", rgb, padding=1)
    skips = [x]
    for level in range(7):
        if level == 3:
            x = x + conv("latent_conv_in", latents)
        for index in range(2):
            x = resnet(f"down_blocks.{level}.resnets.{index}", x)
            if level >= 4:
                x = attention(f"down_blocks.{level}.attentions.{index}", x)
            skips.append(x)
        if level < 6:
            x = conv(f"down_blocks.{level}.downsamplers.0.conv", x, stride=2, padding=1)
            skips.append(x)
    x = resnet("mid_block.resnets.0", x)
    x = resnet("mid_block.resnets.1", attention("mid_block.attentions.0", x))
    for level in range(7):
        for index in range(3):
            x = resnet(f"up_blocks.{level}.resnets.{index}", torch.cat([x, skips.pop()], dim=1))
            if level < 3:
                x = attention(f"up_blocks.{level}.attentions.{index}", x)
        if level < 6:
            x = conv(f"up_blocks.{level}.upsamplers.0.conv", F.interpolate(x, scale_factor=2.0), padding=1)
    assert not skips
    return conv("conv_out", F.silu(norm("conv_norm_out", x)), padding=1)


class TestDecoder:
    def test_it_computes_what_its_description_says(self, decoder):
        rgb, latents = torch.rand(2, 3, 64, 128), torch.randn(2, 4, 8, 16)
        expected = reference_decoder(decoder.state_dict(), rgb, latents)
        torch.testing.assert_close(decoder(rgb, latents), expected, atol=1e-5, rtol=1e-4)
        assert expected.std() > 0.01

    def test_without_its_latent_convolution_it_depends_on_the_image_only(self, decoder):
        rgb, one, other = torch.rand(1, 3, 64, 64), torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
        assert not torch.equal(decoder(rgb, one), decoder(rgb, other))
        zeros = {f"latent_conv_in.{name}": value * 0 for name, value in decoder.latent_conv_in.named_parameters()}
        blind, still_blind = (functional_call(decoder, zeros, (rgb, latents)) for latents in (one, other))
        assert torch.equal(blind, still_blind)
        assert blind.shape == (1, 4, 64, 64)

    @pytest.mark.parametrize(("height", "width"), [(64, 96), (72, 64)])
    def test_an_image_that_cannot_be_halved_six_times_is_refused(self, decoder, height, width):
        with pytest.raises(ValueError, match="multiples of 64"):
            decoder(torch.rand(1, 3, height, width), torch.randn(1, 4, height // 8, width // 8))

    def test_views_decoded_together_equal_those_decoded_one_by_one(self, decoder):
        rgb, latents = torch.rand(1, 3, 64, 128), torch.randn(1, 4, 8, 16)
        together, alone = (median_of_views(decoder, rgb, latents, at_once=count) for count in (8, 1))
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)

    def test_a_decoder_that_overflows_in_half_precision_goes_on_in_full(self, bundle, encoder):
        class Overflowing(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = torch.nn.Parameter(torch.tensor(60_000.0, dtype=torch.float16))

            def forward(self, rgb, latents):
                huge = rgb.new_full((len(rgb), 4, *rgb.shape[-2:]), 2.0) * self.scale
                return huge - huge + 0.5

        decoder = Overflowing()
        assert (decode_rgba(published(bundle, encoder, decoder, views=1), torch.randn(1, 4, 8, 16)) == 128).all()
        assert decoder.scale.dtype is torch.float32

    def test_the_decoders_leading_alpha_becomes_the_last_channel(self, bundle, encoder):
        class Constant(torch.nn.Module):
            def forward(self, rgb, latents):
                return torch.tensor([0.2, 0.4, 0.6, 0.8]).view(1, 4, 1, 1).expand(len(rgb), 4, *rgb.shape[2:])

        pixels = decode_rgba(published(bundle, encoder, Constant()), torch.randn(1, 4, 8, 16))
        assert pixels.shape == (64, 128, 4)
        assert (pixels == [102, 153, 204, 51]).all()

    @pytest.mark.parametrize("views", [1, 8])
    def test_its_input_is_an_image_in_unit_range_and_the_latents_of_the_setting(self, bundle, encoder, views):
        seen = []

        class Spy(torch.nn.Module):
            def forward(self, rgb, latents):
                seen.append((rgb, latents))
                return torch.cat([rgb[:, :1], rgb], dim=1)

        latents = torch.randn(1, 4, 8, 8)
        factor = bundle.vae.config["scaling_factor"]
        for setting, expected in (("scaled", latents), ("unscaled", latents / factor), ("zero", latents * 0)):
            seen.clear()
            decode_rgba(published(bundle, encoder, Spy(), decoder_latent=setting, views=views), latents)
            torch.testing.assert_close(seen[0][1][:1], expected)
            assert sum(len(rgb) for rgb, _ in seen) == views
            assert all(0 <= rgb.min() <= rgb.max() <= 1 for rgb, _ in seen)
            assert seen[0][0].max() > 0.5
        torch.testing.assert_close(latents / factor * factor, latents)


class TestEncoder:
    def test_its_offset_has_an_eighth_of_the_image_size(self, encoder):
        assert encoder(torch.rand(2, 4, 64, 96)).shape == (2, 4, 8, 12)

    def test_a_zero_offset_leaves_the_posterior_mean(self, bundle, encoder, decoder):
        last = encoder.blocks[-1]
        last.weight.zero_()
        last.bias.zero_()
        pixels = picture()
        latents = encode_rgba(published(bundle, encoder, decoder), pixels)
        unit = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        mean, _ = posterior(bundle, (2 * unit[:, :3] - 1) * unit[:, 3:])
        assert torch.equal(latents, mean * bundle.vae.config["scaling_factor"])

    def test_the_offset_replaces_the_gaussian_sample(self, bundle, encoder, decoder):
        pixels = picture()
        pixels[..., 3] = 255  # nothing to pad
        rgb = torch.from_numpy(pixels).permute(2, 0, 1)[None, :3].float() / 255
        mean, std = posterior(bundle, rgb * 2 - 1)
        offset = encoder(torch.cat([torch.ones_like(rgb[:, :1]), rgb], dim=1))
        for factor in (1.0, 300.0):
            latents = encode_rgba(published(bundle, encoder, decoder, offset_factor=factor), pixels)
            expected = (mean + std * factor * offset) * bundle.vae.config["scaling_factor"]
            torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-4)

    def test_invisible_pixels_are_mid_grey_for_the_vae(self, bundle, encoder, decoder):
        seen = []
        spied = published(bundle, encoder, decoder)
        handle = spied.vae.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            pixels = picture()
            encode_rgba(spied, pixels)
        finally:
            handle.remove()
        hidden = torch.from_numpy(pixels[..., 3] == 0)
        assert hidden.any()
        assert (seen[0][0, :, hidden] == 0).all()
        solid = torch.from_numpy(pixels[..., 3] == 255)
        expected = torch.from_numpy(pixels).permute(2, 0, 1)[:3, solid].float() / 255 * 2 - 1
        torch.testing.assert_close(seen[0][0][:, solid], expected)


def picture():
    """uint8 (64, 64, 4): opaque, half-transparent and invisible parts, colour everywhere."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randint(0, 256, (64, 64, 4), generator=generator, dtype=torch.uint8).numpy()
    pixels[:, :20, 3], pixels[:, 40:, 3] = 255, 0
    return pixels
