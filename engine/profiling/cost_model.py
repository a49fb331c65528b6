"""The cost of a job in operations and memory, counted from the networks' shapes without weights.

The loop of `engine.diffusion.denoise` runs unchanged on a network that predicts zeros without computing; an observer
records the forward passes. Each kind of forward pass is counted once on PyTorch's meta device. The counts give ratios
that also hold on a graphics card, but no times. Used by `layerfusion benchmark`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

import torch
from torch import Tensor

from layerfusion.engine.backbones.choice import backbone_of
from layerfusion.engine.diffusion.denoise import Guidance, Prompts, denoise
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.previews import is_due, longest_side, reduced_grid
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.coupling import Coupling, Forward, Pass
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.samplers import forwards
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.offloading import RESERVE, Component, MemoryPolicy
from layerfusion.engine.models.runtime.shapes import shapes_of
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.profiling.flop_counter import Cost, measure

T = TypeVar("T")

CARDS = (6, 8, 10, 12, 16, 24, 32, 48, 80)
"""Usual memory sizes of graphics cards in GiB."""


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """The cost of one job.

    Attributes:
        name: the preset, or the job with which presets are compared.
        sample_forwards: number of batch rows that the UNet computes, summed over all its forward passes.
        flops: floating-point operations of the whole job.
        stock_flops: floating-point operations of one picture by the stock pipeline with guidance in the same number of
            steps as in this job.
    """

    name: str
    sample_forwards: int
    flops: int
    stock_flops: int


@dataclass(frozen=True, kw_only=True)
class MemoryCost:
    """The device memory that a policy needs.

    Attributes:
        policy: the policy.
        peak: largest size in bytes of weights and activations together, counted.
        card: memory in GiB of the smallest of `CARDS` that leaves `RESERVE` free; None if there is none.
    """

    policy: MemoryPolicy
    peak: int
    card: int | None


class CostModel:
    """Counts the cost of jobs of one size, on networks with shapes but without weights.

    Args:
        spec: the model, of which only conventions, sampler and defaults are used; its files need not exist.
        working: the working size, both sides multiples of 64.
        foregrounds: number of foregrounds, K.
    """

    def __init__(self, spec: ModelSpec, working: Size, foregrounds: int = 1) -> None:
        self._bundle = shapes_of(spec)
        self._backbone = backbone_of(self._bundle)
        self._streams = Streams(foregrounds)
        self._working = working
        self._known: dict[object, Cost] = {}
        self._couplings: dict[FusionSettings, Coupling] = {}

    def jobs(self, steps: int, guidance_scale: float, settings: FusionSettings) -> list[JobCost]:
        """The cost of one picture by the stock pipeline, of three of its pictures in sequence, and of every preset."""
        runs = forwards(self._bundle.spec.defaults.sampler, steps)
        stock = self._stock(runs if guidance_scale != 1 else 0, runs)
        costs = [
            JobCost(name="stock, one picture", sample_forwards=stock[0], flops=stock[1], stock_flops=stock[1]),
            JobCost(
                name="stock, three pictures",
                sample_forwards=3 * stock[0],
                flops=3 * stock[1],
                stock_flops=stock[1],
            ),
        ]
        for name in get_args(Preset):
            costs.append(self._job(name, steps, guidance_scale, settings.preset(name)))
        return costs

    def policies(self) -> list[MemoryCost]:
        """The peak memory of every policy, with the networks in half precision and the VAE in bfloat16."""
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
        """Run the loop without computing, and add up the cost of its forward passes."""
        words, asked = self._backbone.blank(self._streams.count), _Forwards()
        sampler = Sampler(self._backbone.schedule, self._bundle.spec.defaults.sampler, steps)
        runs = len(sampler.timesteps)
        for _ in denoise(
            _Zeros(),
            sampler,
            self._coupling(settings, torch.device("cpu")),
            Prompts(words, words, self._working),
            torch.zeros((self._streams.count, self._backbone.layout.channels, *self._grid)),
            Guidance(guidance_scale),
            observer=asked,
        ):
            pass
        calls = asked.calls
        network = sum(self._forward(running, rows, settings).flops for running, rows in calls)
        count, foregrounds = self._streams.count, self._streams.foregrounds
        decoding = (
            count * self._vae().flops + foregrounds * self._bundle.spec.transparency.views * self._decoder(1).flops
        )
        previews = sum(is_due(done, runs) for done in range(1, runs + 1)) * (
            count * self._vae_preview().flops + foregrounds * self._decoder_preview().flops
        )
        guided = sum(rows == 2 * count for running, rows in calls if running is not Pass.PRIOR)
        return JobCost(
            name=name,
            sample_forwards=sum(rows for _, rows in calls),
            flops=network + decoding + previews + self._text(2 * count).flops,
            stock_flops=self._stock(guided, runs)[1],
        )

    def _stock(self, guided: int, steps: int) -> tuple[int, int]:
        """(sample forwards, flops) of one picture by the stock pipeline with guidance in `guided` of its steps."""
        rows = steps + guided
        return rows, rows * self._plain().flops + self._vae().flops + self._text(2).flops

    # ---- one kind of work each, counted once -------------------------------------------------------------------------

    def _plain(self) -> Cost:
        """A forward pass of the unchanged UNet with one row."""
        return self._once("plain", lambda: self._unet(1))

    def _forward(self, running: Pass, rows: int, settings: FusionSettings | None = None) -> Cost:
        """A forward pass of the coupled UNet.

        Settings that only decide when a kind of pass runs are set to fixed values, because they do not change its cost.
        """
        settings = settings or self._bundle.spec.defaults.fusion
        settings = replace(
            settings, guidance_start=1.0, guidance_end=0.0, blend_start=1.0, blend_end=0.0, prior="lagged"
        )
        key = (running, rows, settings)
        if key not in self._known:
            if running is not Pass.PRIOR:
                self._forward(Pass.PRIOR, self._streams.foregrounds, settings)  # the coupled pass needs its priors
            elif settings not in self._couplings:
                self._couplings[settings] = self._coupling(settings, torch.device("meta"))
            coupling = self._couplings[settings]
            with torch.no_grad(), self._backbone.attached(coupling), coupling.forward(running):
                self._known[key] = measure(lambda: self._unet(rows))
        return self._known[key]

    def _vae(self, tile: bool = False) -> Cost:
        height, width = self._grid
        side = self._bundle.spec.native_size // 2 // self._backbone.layout.factor
        return self._decode_latents((min(height, side), min(width, side)) if tile else (height, width))

    def _vae_preview(self) -> Cost:
        return self._decode_latents(self._preview_grid)

    def _decode_latents(self, grid: Grid) -> Cost:
        latents = self._empty(1, self._backbone.layout.channels, *grid, dtype=self._bundle.vae.dtype)
        return self._once(("vae", grid), lambda: self._bundle.vae.decode(latents, return_dict=False))  # type: ignore[arg-type]

    def _encoder(self) -> Cost:
        picture = self._empty(1, 4, self._working.height, self._working.width)
        return self._once("encoder", lambda: self._bundle.encoder(picture))

    def _decoder(self, views: int) -> Cost:
        return self._read_alpha(views, self._grid)

    def _decoder_preview(self) -> Cost:
        return self._read_alpha(1, self._preview_grid)

    def _read_alpha(self, views: int, grid: Grid) -> Cost:
        factor, channels = self._backbone.layout.factor, self._backbone.layout.channels
        picture = self._empty(views, 3, factor * grid[0], factor * grid[1])
        latents = self._empty(views, channels, *grid)
        return self._once(("decoder", views, grid), lambda: self._bundle.decoder(picture, latents))

    def _text(self, prompts: int) -> Cost:
        length = self._bundle.text_encoders[0].config.max_position_embeddings
        tokens = torch.empty((prompts, length), dtype=torch.long, device="meta")

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
        return self._backbone.layout.grid(self._working)

    @property
    def _preview_grid(self) -> Grid:
        spec = self._bundle.spec
        return reduced_grid(spec, self._backbone.layout.factor, *self._grid, longest_side(spec))

    def _empty(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.empty(shape, dtype=dtype or self._bundle.dtype, device="meta")

    def _unet(self, rows: int) -> Tensor:
        latents = self._empty(rows, self._backbone.layout.channels, *self._grid)
        words = self._backbone.blank(rows)
        return self._backbone.forward(latents, torch.empty((), device="meta"), words, self._working)

    def _coupling(self, settings: FusionSettings, device: torch.device) -> Coupling:
        """A coupling that shares all tokens: without values the background tokens are unknown; the cost is equal."""
        if settings.research.sharing == "masked":
            settings = settings.changed({"sharing": "all"})
        elif settings.research.sharing == "copy":
            settings = settings.changed({"share_strength": 0.0})  # copying multiplies no matrices
        ends = torch.zeros(self._streams.foregrounds, dtype=torch.long, device=device)
        return Coupling(self._streams, settings, self._grid, ends, blended_end=ends[:1])


class _Zeros:
    """A `Denoiser` that predicts zeros and computes nothing."""

    halves_apart = False

    def forward(self, latents: Tensor, timestep: Tensor, conditioning: Any, size: Size) -> Tensor:
        return torch.zeros_like(latents)

    def run(self, work: Callable[[], T]) -> T:
        return work()


class _Forwards(Observer):
    """Records the pass and the number of rows of each forward pass."""

    def __init__(self) -> None:
        self.calls: list[tuple[Pass, int]] = []

    def forward(self, now: Forward, rows: int) -> None:
        self.calls.append((now.running, rows))
