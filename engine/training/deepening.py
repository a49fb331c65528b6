"""Stage `deepen`: one more level for a VAE, so that a latent stands for four times the pixels at the same compression.

The deeper VAE has four times the channels in a quarter of the latents: as many numbers a picture. Trained as a whole
from the shallow one's outer levels, it stood at 17.9 dB after two minutes (crops of 128 px, one thread): the new
innermost level lets hardly anything through, and what arrives at the outer ones is noise that ruins them. So the new
level is first taught alone, and directly, what the shallow VAE has in its place: to write the shallow latents, four
neighbours in a pixel's channels, and to make of them the features that the shallow decoder has there. Both are
regressions at an eighth of the picture's side; the outer levels run once, when the features are remembered. That gave
29.0 dB on whole fresh pictures after four minutes and 29.8 after eight. Then the whole is trained at a tenth of the
usual rate: at all of it, it fell to 23 dB in two minutes.

Our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.training.data.dataset import Examples
from layerfusion.engine.training.latents import pictures_of
from layerfusion.engine.training.loop import Stage
from layerfusion.engine.training.optimisers import optimisers_for
from layerfusion.engine.training.vae import LATENT_NOISE, vae_sheet, validated

BATCH = 16
REMEMBERED = 1200
"""Pictures whose features are kept, 0.4 MB each at 256 px."""

_SHARES = {"composite": 0.55, "foreground": 0.3, "studio": 0.15}


def deepened(shallow: AutoencoderKL, width: int) -> AutoencoderKL:
    """A VAE with one more level inside, the outer ones as they were.

    Args:
        shallow: the VAE to deepen.
        width: channels of the new level.
    """
    config: dict[str, Any] = {key: value for key, value in shallow.config.items() if not key.startswith("_")}
    widths = [*config["block_out_channels"], width]
    config |= {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "latent_channels": 4 * config["latent_channels"],
        "sample_size": 2 * config["sample_size"],
    }
    deep = AutoencoderKL(**config)
    state, known = deep.state_dict(), shallow.state_dict()
    for name in state:
        old = known.get(_shallow_name(name))
        if old is not None and old.shape == state[name].shape:
            state[name] = old.clone()
    deep.load_state_dict(state)
    return deep


def _shallow_name(name: str) -> str:
    """What a decoder's block is called where there is a level less: decoders count from the inside."""
    before, found, rest = name.partition("up_blocks.")
    if not found:
        return name
    place, _, inner = rest.partition(".")
    return f"{before}{found}{int(place) - 1}.{inner}"


class DeepeningStage(Stage):
    """Train a deeper VAE's innermost level towards what a shallow one has in its place.

    Args:
        shallow: frozen.
        deep: what `deepened` made of it.
        data: the training sets and how often each is drawn from.
        test: for the sheet and the figures.

    Raises:
        InvalidRequest: the two do not differ by one level with the same compression.
    """

    name = "deepen"

    def __init__(
        self, shallow: AutoencoderKL, deep: AutoencoderKL, data: Sequence[tuple[Examples, float]], test: Examples
    ) -> None:
        old, new = shallow.config, deep.config
        if (
            list(new["block_out_channels"][:-1]) != list(old["block_out_channels"])
            or new["latent_channels"] != 4 * old["latent_channels"]
        ):
            raise InvalidRequest(
                f"Levels {new['block_out_channels']} with {new['latent_channels']} channels are not one level deeper "
                f"than {old['block_out_channels']} with {old['latent_channels']}.",
                "Give one more width, and four times the latent channels.",
            )
        self.vae, self.network, self.device = deep, deep, deep.device
        self._test = test
        self._down, self._up = _inner_parts(deep)
        deep.requires_grad_(False)
        for part in (*self._down, *self._up):
            part.requires_grad_(True)
        self.optimisers = optimisers_for(deep, lr=1.2e-3)
        self._inputs, self._latents, self._outputs = self._remembered(shallow, data)
        self._spread = self._outputs.float().std(dim=(0, 2, 3), keepdim=True)

    @torch.no_grad()
    def _remembered(
        self, shallow: AutoencoderKL, data: Sequence[tuple[Examples, float]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """float16, of every remembered picture: what enters the shallow VAE's innermost level on the way down, its
        latents, and what leaves it on the way up."""
        encoder, decoder = cast(Any, shallow.encoder), cast(Any, shallow.decoder)
        channels = shallow.config["latent_channels"]
        found: list[list[Tensor]] = [[], [], []]
        for batch in torch.from_numpy(_pictures(data)).permute(0, 3, 1, 2).split(8):
            x = encoder.conv_in(batch.to(self.device))
            for block in encoder.down_blocks:
                x = block(x)
            inner = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(encoder.mid_block(x))))
            latents = cast(Any, shallow.quant_conv)(inner)[:, :channels]
            back = decoder.mid_block(decoder.conv_in(cast(Any, shallow.post_quant_conv)(latents)))
            for layer in decoder.up_blocks[0].resnets:
                back = layer(back, None)
            for kept, part in zip(found, (x, latents, back), strict=True):
                kept.append(part.half().cpu())
        inputs, middle, outputs = (torch.cat(parts) for parts in found)
        return inputs, middle, outputs

    def loss(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, dict[str, float], int]:
        rows = torch.from_numpy(rng.integers(0, len(self._inputs), BATCH))
        inputs, latents, outputs = (
            part[rows].float().to(self.device) for part in (self._inputs, self._latents, self._outputs)
        )
        wanted = F.pixel_unshuffle(latents, 2)
        mean, spread = self._encoded(inputs).chunk(2, dim=1)
        noise = (LATENT_NOISE * torch.randn(wanted.shape, generator=generator)).to(self.device)
        writing = (mean - wanted).square().mean()
        reading = ((self._decoded(wanted + noise) - outputs) / self._spread).square().mean()
        through = ((self._decoded(mean + noise) - outputs) / self._spread).square().mean()
        loss = writing + reading + through + 3e-6 * (spread + 9).square().mean()
        figures = {"writing": writing, "reading": reading, "through": through}
        return loss, {key: float(value.detach()) for key, value in figures.items()}, BATCH

    def _encoded(self, x: Tensor) -> Tensor:
        """(B, C, h, w) features -> mean and log variance of the deep latents, (B, 2 x channels, h/2, w/2)."""
        for part in self._down:
            x = part(x)
        return x

    def _decoded(self, x: Tensor) -> Tensor:
        """Deep latents (B, channels, h/2, w/2) -> features (B, C, h, w)."""
        for part in self._up:
            x = part(x, None) if type(part).__name__ == "ResnetBlock2D" else part(x)
        return x

    def sheet(self) -> Image.Image:
        """Fresh composites and foregrounds over grey, above what comes back."""
        return vae_sheet(self.vae, self._test)

    def validate(self) -> dict[str, float]:
        """PSNR in decibels on whole fresh pictures."""
        return validated(self.vae, self._test)


def _inner_parts(deep: AutoencoderKL) -> tuple[list[nn.Module], list[nn.Module]]:
    """What lies inside the features of the level before the last, in order of computation: encoder's, decoder's."""
    encoder, decoder = cast(Any, deep.encoder), cast(Any, deep.decoder)
    down = [
        *encoder.down_blocks[-2].downsamplers,
        encoder.down_blocks[-1],
        encoder.mid_block,
        encoder.conv_norm_out,
        encoder.conv_act,
        encoder.conv_out,
        deep.quant_conv,
    ]
    up = [deep.post_quant_conv, decoder.conv_in, decoder.mid_block, decoder.up_blocks[0], *decoder.up_blocks[1].resnets]
    return down, up


def _pictures(data: Sequence[tuple[Examples, float]]) -> NDArray[np.floating]:
    """About `REMEMBERED` pictures of the sets, (N, H, W, 3), -1..1."""
    whole, parts = sum(weight for _, weight in data), []
    for examples, weight in data:
        first = 0
        for kind, share in _SHARES.items():
            count = min(round(REMEMBERED * share * weight / whole), len(examples) - first)
            parts.append(pictures_of(examples, kind, np.arange(first, first + count)))
            first += count
    return np.concatenate(parts)
