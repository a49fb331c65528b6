"""What a job costs before anybody has the weights: operations and memory, counted on SDXL's shapes.

The loop of `engine.diffusion.denoise` runs as it always does, on latents of zeros, with a stand-in for the UNet that
looks up what such a forward would cost: every kind of forward is counted once on PyTorch's meta device. Ratios are what
carries over to a graphics card; seconds are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from layerfusion.engine.diffusion.conditioning import Conditioning
from layerfusion.engine.diffusion.denoise import denoise
from layerfusion.engine.diffusion.previews import LONGEST_SIDE, is_due
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.attach import attached, attention_modules
from layerfusion.engine.fusion.coupling import Coupling, Pass
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.model_files import CONFIGS, read_json
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.loading import ModelBundle, assemble
from layerfusion.engine.models.runtime.offloading import RESERVE, Component, Memory, MemoryPolicy
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.profiling.flop_counter import Cost, measure
from layerfusion.engine.transparency.deltas import Deltas, LowRank
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

CARDS = (6, 8, 10, 12, 16, 24, 32, 48, 80)
"""Gibibytes of the graphics cards there are."""

_RANK = 256
"""Of the published foreground deltas."""

_TOKENS = 77


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """One job.

    Attributes:
        name: of the preset, or of what it is compared with.
        sample_forwards: rows the UNet computes, summed over all its calls.
        flops: of the whole job.
        same_trick: flops of one stock picture that leaves out guidance in the same steps.
    """

    name: str
    sample_forwards: int
    flops: int
    same_trick: int


@dataclass(frozen=True, kw_only=True)
class MemoryCost:
    """What a policy needs on the device.

    Attributes:
        policy: which.
        peak: bytes of weights and activations at once, counted.
        card: gibibytes of the smallest graphics card that leaves `RESERVE` besides; None if there is none.
    """

    policy: MemoryPolicy
    peak: int
    card: int | None


class CostModel:
    """Counts jobs of one size on SDXL's networks, which have shapes here and no weights.

    Args:
        spec: whose conventions, sampler and defaults count; its files need not exist.
        working: what the model draws, both sides multiples of 64.
        foregrounds: K.
    """

    def __init__(self, spec: ModelSpec, working: Size, foregrounds: int = 1) -> None:
        self._bundle = meta_sdxl(spec)
        self._streams = Streams(foregrounds)
        self._working = working
        self._known: dict[object, Cost] = {}
        self._couplings: dict[FusionSettings, Coupling] = {}

    def jobs(self, steps: int, guidance_scale: float, settings: FusionSettings) -> list[JobCost]:
        """The stock pipeline, three of its pictures one after the other, and every preset."""
        stock = self._stock(steps if guidance_scale != 1 else 0, steps)
        costs = [
            JobCost(name="stock SDXL, one picture", sample_forwards=stock[0], flops=stock[1], same_trick=stock[1]),
            JobCost(
                name="stock SDXL, three pictures", sample_forwards=3 * stock[0], flops=3 * stock[1], same_trick=stock[1]
            ),
        ]
        for name in get_args(Preset):
            costs.append(self._job(name, steps, guidance_scale, settings.preset(name)))
        return costs

    def policies(self) -> list[MemoryCost]:
        """Every memory policy's peak; the networks in half precision, the VAE with float32's range."""
        count = self._streams.count
        rows = {policy: (1 if policy is MemoryPolicy.SEQUENTIAL else 2) * count for policy in MemoryPolicy}
        weights = {component: self._bundle.memory.weights(component) for component in Component}
        costs = []
        for policy in MemoryPolicy:
            work = {
                Component.TEXT: self._text(count).peak_bytes,
                Component.UNET: self._forward(Pass.COUPLED, rows[policy]).peak_bytes,
                Component.VAE: self._vae(policy is MemoryPolicy.SEQUENTIAL).peak_bytes,
                Component.ENCODER: self._encoder().peak_bytes,
                Component.DECODER: self._decoder(1).peak_bytes,
            }
            if policy is MemoryPolicy.RESIDENT:
                peak = sum(weights.values()) + max(work.values())
            else:
                peak = max(weights[component] + work[component] for component in Component)
            card = next((size for size in CARDS if peak + RESERVE <= size << 30), None)
            costs.append(MemoryCost(policy=policy, peak=peak, card=card))
        return costs

    def _job(self, name: str, steps: int, guidance_scale: float, settings: FusionSettings) -> JobCost:
        """Run the loop on nothing and add up what its forwards would have cost."""
        coupling, calls = self._coupling(settings, torch.device("cpu")), list[tuple[Pass, int]]()

        def unet(rows: Tensor, *_: object, **__: object) -> tuple[Tensor]:
            calls.append((coupling.running, len(rows)))
            return (torch.zeros_like(rows),)

        on_nothing = replace(
            self._bundle,
            unet=cast(Any, unet),
            device=torch.device("cpu"),
            memory=Memory({}, {}, device=torch.device("cpu"), native_size=self._working.width, latent_factor=8),
        )
        words = self._words(self._streams.count, torch.device("cpu"))
        steps_done = denoise(
            on_nothing,
            Sampler(self._bundle, self._bundle.spec.defaults.sampler, steps),
            coupling,
            noise=torch.zeros((self._streams.count, 4, *self._grid)),
            negative=words,
            positive=words,
            time_ids=torch.zeros((1, 6)),
            guidance_scale=guidance_scale,
            guidance_rescale=0.0,
        )
        for _ in steps_done:
            pass
        forwards = sum(self._forward(running, rows, settings).flops for running, rows in calls)
        count, foregrounds = self._streams.count, self._streams.foregrounds
        decoding = (
            count * self._vae().flops + foregrounds * self._bundle.spec.transparency.views * self._decoder(1).flops
        )
        previews = sum(is_due(done, steps) for done in range(1, steps + 1)) * (
            count * self._vae_preview().flops + foregrounds * self._decoder_preview().flops
        )
        guided = sum(rows == 2 * count for running, rows in calls if running is not Pass.PRIOR)
        return JobCost(
            name=name,
            sample_forwards=sum(rows for _, rows in calls),
            flops=forwards + decoding + previews + self._text(2 * count).flops,
            same_trick=self._stock(guided, steps)[1],
        )

    def _stock(self, guided: int, steps: int) -> tuple[int, int]:
        """(sample forwards, flops) of one picture by the stock pipeline with guidance in some of its steps."""
        rows = steps + guided
        return rows, rows * self._plain().flops + self._vae().flops + self._text(2).flops

    # ---- one kind of work each, counted once -------------------------------------------------------------------------

    def _plain(self) -> Cost:
        """One row by the UNet as it is."""
        return self._once("plain", lambda: self._unet(1))

    def _forward(self, running: Pass, rows: int, settings: FusionSettings | None = None) -> Cost:
        """One forward by the coupled UNet. When which kind of forward runs is the loop's affair, not the forward's."""
        settings = settings or self._bundle.spec.defaults.fusion
        settings = replace(
            settings, guidance_start=1.0, guidance_end=0.0, blend_start=1.0, blend_end=0.0, prior="lagged"
        )
        key = (running, rows, settings)
        if key not in self._known:
            if running is not Pass.PRIOR:
                self._forward(
                    Pass.PRIOR, self._streams.foregrounds, settings
                )  # so that there are priors to couple with
            elif settings not in self._couplings:
                self._couplings[settings] = self._coupling(settings, torch.device("meta"))
            coupling = self._couplings[settings]
            with torch.inference_mode(), attached(self._bundle.unet, coupling, self._bundle.deltas):
                coupling.begin(running)
                self._known[key] = measure(lambda: self._unet(rows))
                coupling.end()
        return self._known[key]

    def _vae(self, tile: bool = False) -> Cost:
        height, width = self._grid
        side = self._bundle.spec.native_size // 2 // 8
        return self._decode_latents((min(height, side), min(width, side)) if tile else (height, width))

    def _vae_preview(self) -> Cost:
        return self._decode_latents(self._preview_grid)

    def _decode_latents(self, grid: Grid) -> Cost:
        latents = self._empty(1, 4, *grid, dtype=self._bundle.vae.dtype)
        return self._once(("vae", grid), lambda: self._bundle.vae.decode(latents, return_dict=False))  # type: ignore[arg-type]

    def _encoder(self) -> Cost:
        picture = self._empty(1, 4, self._working.height, self._working.width)
        return self._once("encoder", lambda: self._bundle.encoder(picture))

    def _decoder(self, views: int) -> Cost:
        return self._read_alpha(views, self._grid)

    def _decoder_preview(self) -> Cost:
        return self._read_alpha(1, self._preview_grid)

    def _read_alpha(self, views: int, grid: Grid) -> Cost:
        picture, latents = self._empty(views, 3, 8 * grid[0], 8 * grid[1]), self._empty(views, 4, *grid)
        return self._once(("decoder", views, grid), lambda: self._bundle.decoder(picture, latents))

    def _text(self, prompts: int) -> Cost:
        tokens = torch.empty((prompts, _TOKENS), dtype=torch.long, device="meta")

        def work() -> list[object]:
            return [encoder(tokens, output_hidden_states=True)[0] for encoder in self._bundle.text_encoders]

        return self._once(("text", prompts), work)

    def _once(self, key: object, work: Any) -> Cost:
        if key not in self._known:
            self._known[key] = measure(work)
        return self._known[key]

    # ---- shapes ------------------------------------------------------------------------------------------------------

    @property
    def _grid(self) -> Grid:
        return self._working.height // 8, self._working.width // 8

    @property
    def _preview_grid(self) -> Grid:
        """As `engine.diffusion.previews` reduces it: at most 256 px a side, in multiples of 64."""
        shrink = min(1.0, LONGEST_SIDE / max(self._working.width, self._working.height))
        height, width = (max(1, round(side * shrink / 64)) * 8 for side in (self._working.height, self._working.width))
        return height, width

    def _empty(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.empty(shape, dtype=dtype or self._bundle.dtype, device="meta")

    def _words(self, rows: int, device: torch.device) -> Conditioning:
        dtype = self._bundle.dtype
        return Conditioning(
            torch.zeros((rows, _TOKENS, 2048), dtype=dtype, device=device),
            torch.zeros((rows, 1280), dtype=dtype, device=device),
            torch.zeros(rows, dtype=torch.long, device=device),
        )

    def _unet(self, rows: int) -> Tensor:
        words = self._words(rows, torch.device("meta"))
        return self._bundle.unet(
            self._empty(rows, 4, *self._grid),
            torch.empty((), device="meta"),
            encoder_hidden_states=words.embeddings,
            added_cond_kwargs={"text_embeds": words.pooled, "time_ids": self._empty(rows, 6)},
            return_dict=False,
        )[0]

    def _coupling(self, settings: FusionSettings, device: torch.device) -> _Coupling:
        ends = torch.zeros(self._streams.foregrounds, dtype=torch.long, device=device)
        return _Coupling(self._streams, settings, self._grid, ends)


class _Coupling(Coupling):
    """A coupling without numbers: which tokens are background cannot be asked, only how many places they take."""

    def _background(self, block: str, grid: Grid) -> Tensor:
        return torch.ones(grid[0] * grid[1], device=self.end_of_text.device)


def meta_sdxl(spec: ModelSpec, dtype: torch.dtype = torch.float16) -> ModelBundle:
    """SDXL and LayerDiffuse's networks on the meta device: shapes, and no weights.

    Args:
        dtype: of all networks but the VAE, which has bfloat16 where this is float16.
    """
    kinds = (CLIPTextModel, CLIPTextModelWithProjection)
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel.from_config(read_json(CONFIGS / "unet" / "config.json"))
        vae: Any = AutoencoderKL.from_config(read_json(CONFIGS / "vae" / "config.json"))
        for network in (unet, vae):
            nn.Module.to(network, torch.bfloat16 if network is vae and dtype is torch.float16 else dtype)
        first, second = (
            kind(CLIPTextConfig.from_pretrained(str(CONFIGS / folder), local_files_only=True)).to(dtype)  # type: ignore[arg-type]
            for kind, folder in zip(kinds, ("text_encoder", "text_encoder_2"), strict=True)
        )
        encoder, decoder = LayerDiffuseEncoder().to(dtype), LayerDiffuseDecoder().to(dtype)
        deltas: Deltas = {}
        for module in attention_modules(unet):
            for projection in ("to_q", "to_k", "to_v", "to_out.0"):
                outputs, inputs = unet.get_parameter(f"{module}.{projection}.weight").shape
                down, up = torch.empty((_RANK, inputs), dtype=dtype), torch.empty((outputs, _RANK), dtype=dtype)
                deltas.setdefault(module, {})[projection] = LowRank(down=down, up=up)
    return assemble(
        spec=spec,
        unet=unet.eval(),
        vae=vae.eval(),
        tokenizers=cast(Any, ()),
        text_encoders=(first.eval(), second.eval()),
        scheduler_config=read_json(CONFIGS / "scheduler" / "scheduler_config.json"),
        zeros_for_empty_prompt=True,
        deltas=deltas,
        encoder=encoder.eval(),
        decoder=decoder.eval(),
        device=torch.device("meta"),
        dtype=dtype,
    )
