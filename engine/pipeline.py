"""A job from request to stack, in the order in which it happens. Start reading here.

working size -> prompts -> noise -> network with all streams coupled -> each layer decoded -> Shadow and Light -> stack
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from layerfusion.engine.backbones.base import Conditioning
from layerfusion.engine.backbones.choice import backbone_of
from layerfusion.engine.diffusion.constraints import Constraints
from layerfusion.engine.diffusion.denoise import Guidance, Prompts, denoise
from layerfusion.engine.diffusion.layer_builder import LayerBuilder
from layerfusion.engine.diffusion.layer_codec import decode_rgba
from layerfusion.engine.diffusion.noise import initial_noise
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.previews import is_due, longest_side, previews
from layerfusion.engine.diffusion.sampling import Sampler, distilled
from layerfusion.engine.diffusion.source_constraints import SourceConstraints, open_streams, source_constraints
from layerfusion.engine.diffusion.stream_inputs import (
    negative_prompts,
    positive_prompts,
    read_prompts,
    shares_unconditional,
    stream_seeds,
    words,
)
from layerfusion.engine.diffusion.tiled_refinement import TiledRefinement
from layerfusion.engine.editing import arranged
from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.events import Event, Finished, LayerReady, Preview, Progress
from layerfusion.engine.fusion.coupling import Coupling
from layerfusion.engine.fusion.mask_builder import KnownShape
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.devices import best_device
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.models.runtime.offloading import MemoryDemand, MemoryPolicy
from layerfusion.engine.notices import Notice, sentence
from layerfusion.engine.options.checks import shortened
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.provenance import with_records
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept
from layerfusion.engine.stack import LayerStack

_MOST_GUIDANCE = 2.0
"""Guidance scale above which a few-step adapter exaggerates (our choice; LCM-LoRAs are used with 1 to 2)."""


class LayerFusionPipeline:
    """LayerFusion with one model. The weights are read at the first job and stay in memory.

    Args:
        spec: the model.
        device: the torch device; None takes the fastest device of this machine.
        memory: how much of the model is on the device at a time; None takes the fastest policy that fits, and decides
            again for each job.
        bundle: the model's networks, if they are loaded already.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: torch.device | None = None,
        memory: MemoryPolicy | None = None,
        bundle: ModelBundle | None = None,
    ) -> None:
        self.spec = spec
        self._device = device
        self._memory = memory
        self._bundle = bundle

    @torch.inference_mode()
    def generate(self, request: GenerationRequest, observer: Observer | None = None) -> Generator[Event, None, None]:
        """Draw all layers of a request. Closing the iterator cancels between two steps.

        The same request gives the same bytes on the same machine.

        Args:
            observer: is called during the drawing, as `engine.inspection.recorder.Recorder` is; None calls nothing.

        Yields:
            Notice, Progress, Preview, LayerReady for every layer as soon as it is done, and Finished.

        Raises:
            InvalidRequest: this model cannot work with a value.
            BrokenModel: the weights cannot be read.
            OutOfMemory: the picture does not fit into memory, even with the policy that uses the least.
        """
        try:
            yield from self.spec.notices(request.size, words(request))
            if self._bundle is None:
                yield Progress(stage="loading_model", step=0, total=1)
                self._bundle = load_model(self.spec, device=self._device or best_device())
            job = _Job(self._bundle, request, observer)
            self._bundle.memory.begin(job.size, self._memory)
            for event in job.run():
                yield from self._bundle.memory.notices()
                yield event
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise OutOfMemory(
                f"{request.size} with {len(request.foregrounds)} foregrounds does not fit into memory.",
                "Close other programs that use it, or ask for fewer foregrounds.",
            ) from error


@dataclass(frozen=True)
class _Choices:
    """The request's values; those it left None come from the model's defaults."""

    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str
    fusion: FusionSettings

    @staticmethod
    def of(request: GenerationRequest, spec: ModelSpec) -> _Choices:
        asked = {name: getattr(request, name) for name in _Choices.__dataclass_fields__}
        usual = spec.defaults_with(request.fusion or spec.defaults.fusion)
        return _Choices(**{name: getattr(usual, name) if v is None else v for name, v in asked.items()})


class _Job:
    """One request on one loaded model."""

    def __init__(self, bundle: ModelBundle, request: GenerationRequest, observer: Observer | None) -> None:
        spec = bundle.spec
        self._bundle = bundle
        self._backbone = backbone_of(bundle)
        self._request = arranged(request)
        self._given = request
        self._observer = observer or Observer()
        self._choices = _Choices.of(request, spec)
        self._streams = Streams(len(request.foregrounds))
        self._framing = spec.framing(request.size)
        self._seeds = stream_seeds(request, self._choices.fusion.init_noise)
        self._guidance = Guidance(self._choices.guidance_scale, self._choices.guidance_rescale)
        self._sampler = self._new_sampler(self._seeds)

    @property
    def size(self) -> MemoryDemand:
        """What the job's memory depends on."""
        return MemoryDemand(rows=self._streams.count, pixels=self._framing.working.area)

    def run(self) -> Iterator[Event]:
        asked = read_prompts(self._request, positive_prompts(self._request, self._bundle.spec))
        avoided = read_prompts(self._request, negative_prompts(self._request))
        yield from self._bundle.networks.prepare(
            [*asked, *avoided], self._bundle.spec.added_networks(self._choices.fusion)
        )
        for prompt in self._backbone.truncated([*asked, *avoided]):
            told = sentence("prompt_truncated", prompt=shortened(prompt, 40))
            yield Notice(code="prompt_truncated", sentences=(told,))
        yield from (*self._bundle.notices, *self._sampler.notices, *self._few_step_notices())
        if self._request is not self._given:
            yield Notice(code="foregrounds_placed", sentences=(sentence("foregrounds_placed"),))
        yield Progress(stage="reading_prompts", step=0, total=1)
        negative = self._backbone.encode(avoided, negative=True)
        prompts = Prompts(negative, self._backbone.encode(asked), self._framing.working)
        layout = self._backbone.layout
        noise = initial_noise(self._seeds, layout.channels, *layout.grid(prompts.size)).to(self._bundle.device)

        drafts = yield from self._drafts(prompts)
        fusion = self._choices.fusion
        given = source_constraints(self._backbone, self._bundle, self._request, fusion, self._framing, drafts)
        latents = yield from self._draw(prompts, noise, given)
        layers = LayerBuilder(self._bundle, self._request, self._framing, latents, self._observer)
        if self._request.refine > 0 and self._framing.scale > 1:
            yield from self._refine(layers)
        yield from self._finish(layers)

    def _draw(self, prompts: Prompts, noise: Tensor, given: SourceConstraints) -> Generator[Event, None, Tensor]:
        """Draw all streams together, from noise to latents (streams, C, h, w)."""
        observer = self._observer if self._observer.observes_attention else None
        coupling = self._coupling(prompts.size, prompts.positive, given.shapes, observer)
        total, started, latents = len(self._sampler.timesteps), time.monotonic(), noise
        self._observer.begin(self._bundle, self._backbone, self._sampler, coupling, given.constraints)
        yield Progress(stage="drawing", step=0, total=total)
        with self._backbone.attached(coupling):
            for step in denoise(
                self._backbone,
                self._sampler,
                coupling,
                prompts,
                noise,
                self._guidance,
                given.constraints,
                self._observer,
            ):
                latents, done = step.latents, step.index + 1
                eta = (time.monotonic() - started) / done * (total - done)
                yield Progress(stage="drawing", step=done, total=total, eta=eta)
                if is_due(done, total):
                    yield from self._previews(step.estimate)
        return latents

    def _drafts(self, prompts: Prompts) -> Generator[Event, None, dict[int, Pixels]]:
        """Draw the foregrounds that have a box alone, at a size of their boxes' shape; they are fitted into them later.

        Returns:
            foreground index -> uint8 RGBA (H, W, 4), straight alpha.
        """
        sizes: dict[int, Size] = {}
        for index, source in enumerate(self._request.foregrounds):
            if isinstance(source, Generated) and source.box:
                sizes[index] = self._bundle.spec.draft_size(source.box)
        drafts, done, layout = dict[int, Pixels](), 0, self._backbone.layout
        for size in dict.fromkeys(sizes.values()):
            placed = [index for index in sizes if sizes[index] == size]
            seeds, grid = [self._seeds[index] for index in placed], layout.grid(size)
            streams, sampler = Streams(len(placed), alone=True), self._new_sampler(seeds)
            latents = initial_noise(seeds, layout.channels, *grid).to(self._bundle.device)
            coupling = Coupling(streams, FusionSettings(blend_start=0.0), grid, prompts.positive.end_of_text[placed])
            alone = replace(prompts.rows(placed), size=size)
            total = len(set(sizes.values())) * len(sampler.timesteps)
            with self._backbone.attached(coupling):
                for step in denoise(self._backbone, sampler, coupling, alone, latents, self._guidance):
                    latents, done = step.latents, done + 1
                    yield Progress(stage="drafting", step=done, total=total)
            drafts |= {index: decode_rgba(self._bundle, latents[row : row + 1]) for row, index in enumerate(placed)}
        return drafts

    def _refine(self, layers: LayerBuilder) -> Iterator[Event]:
        """Draw the enlarged layers anew in tiles; the results replace them.

        The prompts are empty and there is no guidance: with the prompt “a penguin”, a penguin would appear in every
        tile.
        """
        wordless = self._backbone.encode([""] * self._streams.count, negative=True)
        held = {stream for stream, source in enumerate(self._request.sources) if isinstance(source, Kept)}
        pictures, strength = layers.canvas_pictures(), self._request.refine
        work = TiledRefinement(self._bundle, self._streams, pictures, self._seeds, held, strength)

        def draw(size: Size, noise: Tensor, constraints: Constraints, shapes: dict[int, KnownShape]) -> Tensor:
            coupling = self._coupling(size, wordless, shapes)
            prompts, sampler = Prompts(wordless, wordless, size), self._new_sampler(self._seeds)
            with self._backbone.attached(coupling):
                *_, last = denoise(self._backbone, sampler, coupling, prompts, noise, Guidance(), constraints)
            return last.latents

        total = len(work.tiles)
        yield Progress(stage="refining", step=0, total=total)
        for done in work.run(draw):
            yield Progress(stage="refining", step=done, total=total)
        layers.finer = work

    def _finish(self, layers: LayerBuilder) -> Iterator[Event]:
        """Decode the layers and announce each: backgrounds and foregrounds, then Blended, then Shadow and Light."""
        ready: dict[int, Layer] = {}
        total = layers.count

        def announce(place: int, layer: Layer) -> Iterator[Event]:
            ready[place] = layer
            yield LayerReady(layer=layer, index=place)
            yield Progress(stage="decoding", step=len(ready), total=total, eta=0.0)

        pasted = layers.pasted()
        told = dict.fromkeys(layers.notices)
        yield from told
        for place, layer in enumerate(pasted):
            yield from announce(place, layer)
        blended = layers.blended(pasted)
        yield from announce(total - 1, blended)
        for place, layer in enumerate(layers.shadow_and_light(blended.pixels, pasted), start=total - 3):
            yield from announce(place, layer)
        yield from (notice for notice in layers.notices if notice not in told)
        title = shortened(" + ".join(source.prompt for source in self._request.sources), 80)
        stack = tuple(ready[place] for place in range(total))
        whole = LayerStack(name=title, size=self._request.size, layers=stack)
        yield Finished(stack=with_records(whole, self._request, self._bundle.spec))

    def _previews(self, estimate: Tensor) -> Iterator[Preview]:
        """Small pictures of Blended and of every layer that is not kept; `estimate` is (streams, C, h, w)."""
        shown = [*open_streams(self._request), self._streams.blended]
        transparent = [stream < self._streams.foregrounds for stream in shown]
        longest = longest_side(self._bundle.spec)
        pictures = previews(self._bundle, estimate[shown], transparent=transparent, longest=longest)
        for stream, has_alpha, pixels in zip(shown, transparent, pictures, strict=True):
            opaque = Role.BACKGROUND if stream == self._streams.background else Role.BLENDED
            role, index = (Role.FOREGROUND, stream) if has_alpha else (opaque, 0)
            yield Preview(role=role, index=index, pixels=pixels)

    def _few_step_notices(self) -> Iterator[Notice]:
        """What is asked for and a few-step adapter cannot do, because it is distilled to draw without guidance."""
        scale = self._choices.guidance_scale
        if self._bundle.spec.adapter_for(self._choices.fusion) is None:
            return
        if scale == 1 and any(negative_prompts(self._request)):
            unmet = sentence("few_steps_no_negative")
        elif scale > _MOST_GUIDANCE:
            unmet = sentence("few_steps_high_guidance", scale=f"{scale:g}")
        else:
            return
        yield Notice(code="few_steps_unguided", sentences=(unmet,))

    def _new_sampler(self, seeds: list[int]) -> Sampler:
        """A new sampler. Multistep solvers store earlier steps, so every run needs its own."""
        adapter = self._bundle.spec.adapter_for(self._choices.fusion)
        schedule = self._backbone.schedule if adapter is None else distilled(self._backbone.schedule, adapter.sampler)
        return Sampler(schedule, self._choices.sampler, self._choices.steps, seeds)

    def _coupling(
        self,
        size: Size,
        positive: Conditioning,
        shapes: dict[int, KnownShape],
        observer: Observer | None = None,
    ) -> Coupling:
        """The coupling of all streams, for a picture of `size`."""
        return Coupling(
            streams=self._streams,
            settings=self._choices.fusion,
            latent_grid=self._backbone.layout.grid(size),
            end_of_text=positive.end_of_text[: self._streams.foregrounds],
            shapes=shapes,
            share_unconditional=shares_unconditional(self._request),
            observer=observer,
            blended_end=positive.end_of_text[self._streams.blended : self._streams.count],
        )
