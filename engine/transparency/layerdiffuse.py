"""LayerDiffuse's published transparent VAE: a convolutional encoder, and the decoder known as UNet1024.

Zhang & Agrawala, "Transparent Image Layer Diffusion using Latent Transparency" (arXiv 2402.17113). The architectures
match the published files `vae_transparent_encoder.safetensors` (1,181,764 parameters) and
`vae_transparent_decoder.safetensors` (538 tensors, 104,104,804 parameters): every tensor is loaded and none is missing.
"""

from __future__ import annotations

from diffusers.models.unets.unet_2d_blocks import AttnDownBlock2D, AttnUpBlock2D, DownBlock2D, UNetMidBlock2D, UpBlock2D
from torch import Tensor, nn

DECODER_STRIDE = 64
"""Both sides of the decoder's input must be multiples of this many pixels, because it halves them six times."""

_WIDTHS = (32, 32, 64, 128, 256, 512, 512)
_PLAIN_BLOCKS = 4
"""Number of blocks without attention; they are those of the highest resolutions."""

_LATENT_BLOCK = 3
"""Index of the down block before which the latents are added: there the features have the latents' resolution."""

_GROUPS = 4
_HEAD_CHANNELS = 8


class LayerDiffuseEncoder(nn.Module):
    """Network from RGBA to the offset that encodes transparency in the latents.

    Input: (B, 4, H, W), alpha first, then RGB padded under the transparent parts (`padding.pad_colours`), all 0-1.
    Output: (B, 4, H/8, W/8), in standard deviations of the VAE's posterior, to be multiplied by
    `TransparencySpec.offset_factor`.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        plan = ((4, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2))
        for inputs, outputs, stride in (*plan, (128, 128, 1), (128, 256, 2), (256, 256, 1)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.SiLU()]
        self.blocks = nn.Sequential(*layers, nn.Conv2d(256, 4, 3, padding=1))

    def forward(self, rgba: Tensor) -> Tensor:
        return self.blocks(rgba)


class LayerDiffuseDecoder(nn.Module):
    """UNet of seven levels from a decoded image and its latents to RGBA; the latents enter at 1/8 resolution.

    Input: rgb (B, 3, H, W), 0-1, H and W multiples of 64; latents (B, 4, H/8, W/8). Output: (B, 4, H, W), about 0-1 and
    not clipped: alpha first, then straight RGB.

    Raises:
        ValueError: H or W is no multiple of 64.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, _WIDTHS[0], 3, padding=1)
        self.latent_conv_in = nn.Conv2d(4, _WIDTHS[_LATENT_BLOCK - 1], 1)
        self.down_blocks = nn.ModuleList(_down(index) for index in range(len(_WIDTHS)))
        self.mid_block = UNetMidBlock2D(
            in_channels=_WIDTHS[-1],
            temb_channels=None,  # type: ignore[arg-type]  # no timestep embedding
            resnet_eps=1e-5,
            resnet_act_fn="silu",
            attention_head_dim=_HEAD_CHANNELS,
            resnet_groups=_GROUPS,
        )
        self.up_blocks = nn.ModuleList(_up(index) for index in range(len(_WIDTHS)))
        self.conv_norm_out = nn.GroupNorm(_GROUPS, _WIDTHS[0], eps=1e-5)
        self.conv_act = nn.SiLU()
        self.conv_out = nn.Conv2d(_WIDTHS[0], 4, 3, padding=1)

    def forward(self, rgb: Tensor, latents: Tensor) -> Tensor:
        height, width = rgb.shape[-2:]
        if height % DECODER_STRIDE or width % DECODER_STRIDE:
            raise ValueError(f"the image is {width}x{height} px; both sides must be multiples of {DECODER_STRIDE}")
        x = self.conv_in(rgb)
        skips = [x]
        for index, block in enumerate(self.down_blocks):
            if index == _LATENT_BLOCK:
                x = x + self.latent_conv_in(latents)
            x, outputs = block(x)
            skips += outputs
        x = self.mid_block(x)
        for block in self.up_blocks:
            count = len(block.resnets)  # type: ignore[arg-type]  # `resnets` is a ModuleList; type checkers cannot know
            x = block(x, tuple(skips[-count:]))
            del skips[-count:]
        return self.conv_out(self.conv_act(self.conv_norm_out(x)))


def _down(index: int) -> nn.Module:
    """The down block of one level; index 0 is the highest resolution."""
    last = index == len(_WIDTHS) - 1
    shape = {"in_channels": _WIDTHS[max(index - 1, 0)], "out_channels": _WIDTHS[index], "num_layers": 2}
    if index < _PLAIN_BLOCKS:
        return DownBlock2D(**shape, **_common(), add_downsample=not last, downsample_padding=1)
    return AttnDownBlock2D(
        **shape,
        **_common(),
        attention_head_dim=_HEAD_CHANNELS,
        downsample_padding=1,
        downsample_type=None if last else "conv",  # type: ignore[arg-type]  # None: no downsampling
    )


def _up(index: int) -> nn.Module:
    """The up block of one level; index 0 is the lowest resolution."""
    widths = _WIDTHS[::-1]
    last = index == len(widths) - 1
    shape = {
        "in_channels": widths[min(index + 1, len(widths) - 1)],
        "prev_output_channel": widths[max(index - 1, 0)],
        "out_channels": widths[index],
        "num_layers": 3,
    }
    if index >= len(widths) - _PLAIN_BLOCKS:
        return UpBlock2D(**shape, **_common(), add_upsample=not last)
    return AttnUpBlock2D(
        **shape,
        **_common(),
        attention_head_dim=_HEAD_CHANNELS,
        upsample_type=None if last else "conv",  # type: ignore[arg-type]
    )


def _common() -> dict:
    return {"temb_channels": None, "resnet_eps": 1e-5, "resnet_act_fn": "silu", "resnet_groups": _GROUPS}
