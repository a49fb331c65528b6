"""The cost of a job in operations and memory, counted from the networks' shapes without weights.

`counted_job` says which forwards a job asks for. Each kind of forward is counted on PyTorch's meta device. The counts
give ratios that also hold on a graphics card, but no times. Used by `layerfusion benchmark`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import torch
from torch import Tensor

from layerfusion.engine.backbones.choice import backbone_of
from layerfusion.engine.diffusion.previews import is_due, longest_side, reduced_grid
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.fusion.coupling import Coupling, Forward, Half, Pass
from layerfusion.engine.fusion.masks import Grid
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.manifest import SDXL, spec_from_values
from layerfusion.engine.models.catalog.model_files import read_json
from layerfusion.engine.models.catalog.samplers import forwards
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.offloading import RESERVE, Component, MemoryPolicy
from layerfusion.engine.models.runtime.shapes import shapes_of
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.profiling.counted_job import Kind, calls, known_shapes
from layerfusion.engine.profiling.flop_counter import Cost, Known, measure

CARDS = (6, 8, 10, 12, 16, 24, 32, 48, 80)
"""Usual memory sizes of graphics cards in GiB."""

FEW = (8, 4)
"""The steps of models with a few-step LoRA such as SDXL-Lightning, which draw without guidance."""

SHARED = 0.5
"""The share of tokens that background and blended stream share, those clearly outside every object. A model without
values cannot find them; in four pictures of the embedded model it was 0.23 to 0.53."""


@dataclass(frozen=True, kw_only=True)
class JobCost:
    """The cost of one job.

    Attributes:
        name: the preset, or the job with which presets are compared.
        sample_forwards: number of batch rows that the UNet computes, summed over all its forward passes.
        deep: how many of those rows go through the deep blocks, too.
        flops: floating-point operations of the whole job.
    """

    name: str
    sample_forwards: int
    deep: int
    flops: int


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


def sdxl_spec() -> ModelSpec:
    """SDXL with its conventions and defaults, and no files."""
    manifest = {**read_json(SDXL), "few_steps": None, "name": "sdxl", "checkpoint": "counted/without/weights"}
    return spec_from_values(manifest, SDXL.parent)


def count_on_sdxl(steps: int, guidance_scale: float, settings: FusionSettings, usual: tuple[int, float]) -> float:
    """The operations of a job on SDXL at its native size, divided by those of one stock picture.

    Args:
        steps, guidance_scale, settings: the job's.
        usual: steps and guidance scale of the stock picture.
    """
    model = _of_sdxl()
    return model.job("", steps, guidance_scale, settings).flops / model.stock("", *usual).flops


@cache
def _of_sdxl() -> CostModel:
    spec = sdxl_spec()
    return CostModel(spec, Size(spec.native_size, spec.native_size))


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
        self._operations: Known = {}

    def jobs(self, steps: int, guidance_scale: float, settings: FusionSettings) -> list[JobCost]:
        """The cost of all jobs that `benchmark` shows.

        One picture by the stock pipeline, three of its pictures in sequence, every preset, few steps without guidance,
        a new background under kept foregrounds, and harmonising again.
        """
        costs = [
            self.stock("stock, one picture", steps, guidance_scale),
            self.stock("stock, three pictures", steps, guidance_scale, pictures=3),
        ]
        presets = {name: settings.preset(name) for name in get_args(Preset)}
        costs += [self.job(name, steps, guidance_scale, preset) for name, preset in presets.items()]
        some = {name: presets[name] for name in ("exact", "balanced", "fast")}
        costs += [self.job(f"{few} steps, fast", few, 1.0, presets["fast"]) for few in FEW]
        again: dict[Kind, str] = {"background": "new background", "harmonise": "harmonise again"}
        for kind, title in again.items():
            costs += [
                self.job(f"{title}, {name}", steps, guidance_scale, preset, kind) for name, preset in some.items()
            ]
        return costs

    def stock(self, name: str, steps: int, guidance_scale: float, pictures: int = 1) -> JobCost:
        """The cost of some pictures by the stock pipeline; 1 is no guidance."""
        rows = forwards(self._bundle.spec.defaults.sampler, steps) * (1 if guidance_scale == 1 else 2)
        flops = rows * self._plain().flops + self._vae().flops + self._text(2).flops
        return JobCost(name=name, sample_forwards=pictures * rows, deep=pictures * rows, flops=pictures * flops)

    def job(
        self, name: str, steps: int, guidance_scale: float, settings: FusionSettings, kind: Kind = "new"
    ) -> JobCost:
        """The cost of one job.

        Args:
            name: a name for it.
            steps: denoising steps.
            guidance_scale: 1 is no guidance.
            settings: the options.
            kind: what is drawn.
        """
        runs = forwards(self._bundle.spec.defaults.sampler, steps)
        sampler = Sampler(self._backbone.schedule, self._bundle.spec.defaults.sampler, steps)
        asked = calls(
            kind,
            self._coupling(settings, torch.device("cpu"), kind),
            sampler,
            self._backbone.blank(self._streams.count),
            self._backbone.layout.channels,
            self._working,
            guidance_scale,
        )
        return JobCost(
            name=name,
            sample_forwards=sum(call.rows for call in asked),
            deep=sum(call.rows for call in asked if call.now.deep),
            flops=self._network([call.now for call in asked], settings, kind)
            + self._pictures(kind)
            + self._previews(runs, kind)
            + self._text(2 * self._streams.count).flops,
        )

    def policies(self) -> list[MemoryCost]:
        """The peak memory of every policy, with the networks in half precision and the VAE in bfloat16."""
        count = self._streams.count
        rows = {policy: (1 if policy is MemoryPolicy.SEQUENTIAL else 2) * count for policy in MemoryPolicy}
        costs = []
        for policy in MemoryPolicy:
            work = {
                Component.TEXT: self._text(count).peak_bytes,
                Component.UNET: self._coupled(rows[policy]).peak_bytes,
                Component.VAE: self._vae(policy is MemoryPolicy.SEQUENTIAL).peak_bytes,
                Component.ENCODER: self._encoder().peak_bytes,
                Component.DECODER: self._decoder(1).peak_bytes,
            }
            peak = self._bundle.memory.peak(policy, work)
            card = next((size for size in CARDS if peak + RESERVE <= size << 30), None)
            costs.append(MemoryCost(policy=policy, peak=peak, card=card))
        return costs

    # ---- the parts of a job ------------------------------------------------------------------------------------------

    def _network(self, asked: list[Forward], settings: FusionSettings, kind: Kind) -> int:
        """The operations of the UNet.

        Every kind of forward is counted twice: the first time it also makes the foregrounds' own weights, and the keys
        and values of the texts.
        """
        coupling, words = self._coupling(settings, torch.device("meta"), kind), dict[object, Any]()
        seen, last, total = Counter[Forward](), dict[Forward, int](), 0
        self._bundle.memory.has_own_weights = True
        with torch.no_grad(), self._backbone.attached(coupling):
            for now in asked:
                like = Forward(now.running, 0.5, now.half, now.rows, now.deep)
                seen[like] += 1
                if seen[like] <= 2:
                    rows = len(now.rows) * (2 if now.half is Half.BOTH else 1)
                    conditioning = words.setdefault((now.half, now.rows), self._backbone.blank(rows))
                    with coupling.forward(now.running, 0.5, now.half, now.rows, now.deep):
                        last[like] = measure(lambda c=conditioning, n=rows: self._unet(n, c), self._operations).flops
                total += last[like]
        return total

    def _pictures(self, kind: Kind) -> int:
        """The operations of decoding the layers, and of encoding and decoding what the kept ones need.

        A kept foreground is encoded with its transparency and again for the scene; when the light is read, two pictures
        are decoded and one is encoded. Harmonising also encodes the background and the composite.
        """
        count, foregrounds = self._streams.count, self._streams.foregrounds
        if kind == "new":
            views = foregrounds * self._bundle.spec.transparency.views
            return count * self._vae().flops + views * self._decoder(1).flops
        decoded = 2 + (1 if kind == "harmonise" else 2)
        encoded = 2 * foregrounds + 1 + (2 if kind == "harmonise" else 0)
        return decoded * self._vae().flops + encoded * self._vae_encoder().flops + foregrounds * self._encoder().flops

    def _previews(self, runs: int, kind: Kind) -> int:
        foregrounds = self._streams.foregrounds if kind == "new" else 0
        shown = foregrounds + (1 if kind == "harmonise" else 2)
        each = shown * self._vae_preview().flops + foregrounds * self._decoder_preview().flops
        return sum(is_due(done, runs) for done in range(1, runs + 1)) * each

    # ---- one kind of work each, counted once -------------------------------------------------------------------------

    def _plain(self) -> Cost:
        """A forward pass of the unchanged UNet with one row."""
        return self._once("plain", lambda: self._unet(1, self._backbone.blank(1)))

    def _coupled(self, rows: int) -> Cost:
        """A forward of the coupled UNet, as it needs the most memory: with the low-rank deltas."""
        settings = self._bundle.spec.defaults.fusion
        coupling = self._coupling(settings, torch.device("meta"), "new")
        half = Half.CONDITIONAL if rows == self._streams.count else Half.BOTH
        self._bundle.memory.has_own_weights = False
        with torch.no_grad(), self._backbone.attached(coupling):
            with coupling.forward(Pass.PRIOR):
                foregrounds = self._streams.foregrounds
                self._unet(foregrounds, self._backbone.blank(foregrounds))
            with coupling.forward(Pass.COUPLED, 0.5, half):
                return self._once(("coupled", rows), lambda: self._unet(rows, self._backbone.blank(rows)))

    def _vae(self, tile: bool = False) -> Cost:
        height, width = self._grid
        side = self._bundle.spec.native_size // 2 // self._backbone.layout.factor
        return self._decode_latents((min(height, side), min(width, side)) if tile else (height, width))

    def _vae_preview(self) -> Cost:
        return self._decode_latents(self._preview_grid)

    def _decode_latents(self, grid: Grid) -> Cost:
        latents = self._empty(1, self._backbone.layout.channels, *grid, dtype=self._bundle.vae.dtype)
        return self._once(("vae", grid), lambda: self._bundle.vae.decode(latents, return_dict=False))  # type: ignore[arg-type]

    def _vae_encoder(self) -> Cost:
        picture = self._empty(1, 3, self._working.height, self._working.width, dtype=self._bundle.vae.dtype)
        return self._once("vae encoder", lambda: self._bundle.vae.encode(picture, return_dict=False))  # type: ignore[arg-type]

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

    def _once(self, key: object, work: Callable[[], object]) -> Cost:
        if key not in self._known:
            self._known[key] = measure(work, self._operations)
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

    def _unet(self, rows: int, words: Any) -> Tensor:
        latents = self._empty(rows, self._backbone.layout.channels, *self._grid)
        return self._backbone.forward(latents, torch.empty((), device="meta"), words, self._working)

    def _coupling(self, settings: FusionSettings, device: torch.device, kind: Kind) -> Coupling:
        if settings.research.sharing == "copy":
            settings = settings.changed({"share_strength": 0.0})  # copying multiplies no matrices
        ends = torch.zeros(self._streams.foregrounds, dtype=torch.long, device=device)
        shapes = known_shapes(kind, self._streams, self._grid, device)
        return _Counted(self._streams, settings, self._grid, ends, shapes, blended_end=ends[:1])


class _Counted(Coupling):
    """A coupling in which `SHARED` of the tokens are shared."""

    def shared_tokens(self, block: str, grid: Grid) -> Tensor:
        share = 1.0 if self.settings.research.sharing == "all" else SHARED
        return torch.arange(round(share * grid[0] * grid[1]), device=self.end_of_text.device)
