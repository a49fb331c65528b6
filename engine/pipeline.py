"""The job, straight through. Read this first.

working size -> prompts -> noise -> UNet with all streams coupled -> each layer decoded -> Shadow and Light -> stack
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from layerfusion.engine.diffusion.conditioning import Conditioning, encode_prompts, time_ids, truncated_prompts
from layerfusion.engine.diffusion.denoise import LatentConstraint, denoise
from layerfusion.engine.diffusion.layer_codec import decode_foreground, decode_rgb, decode_rgba
from layerfusion.engine.diffusion.noise import initial_noise
from layerfusion.engine.diffusion.previews import is_due, preview
from layerfusion.engine.diffusion.sampling import Sampler
from layerfusion.engine.diffusion.source_constraints import needs_filling, open_streams, source_constraints
from layerfusion.engine.diffusion.tiled_refinement import TiledRefinement
from layerfusion.engine.errors import OutOfMemory
from layerfusion.engine.events import Event, Finished, LayerReady, Notice, Preview, Progress
from layerfusion.engine.fusion.attach import attached
from layerfusion.engine.fusion.coupling import Coupling, KnownShape
from layerfusion.engine.fusion.streams import Streams
from layerfusion.engine.image.compositing import bleed, flatten, to_unit
from layerfusion.engine.image.geometry import Framing, Size, working_size
from layerfusion.engine.image.layers import BlendMode, Layer, Pixels, Role
from layerfusion.engine.image.resampling import to_canvas, to_working
from layerfusion.engine.image.shadow_light import clean_layers, exact_layers
from layerfusion.engine.image.upscaling import foreground_to_canvas
from layerfusion.engine.inspection.recorder import Recorder
from layerfusion.engine.inspection.records import MaskRecord, StreamRecord
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.devices import best_device
from layerfusion.engine.models.runtime.loading import ModelBundle, load_model
from layerfusion.engine.models.runtime.offloading import MemoryDemand, MemoryPolicy
from layerfusion.engine.options.checks import shortened
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit
from layerfusion.engine.stack import LayerStack
from layerfusion.engine.transparency.drift_check import drift_notice


class LayerFusionPipeline:
    """LayerFusion on one model. Weights are read at the first job and stay.

    Args:
        spec: which model.
        device: where it computes; None takes the best there is.
        memory: how much of the model is on the device at a time; None takes the fastest way that fits, for each job
            anew.
        bundle: the model, if it is loaded already.
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
    def generate(
        self, request: GenerationRequest, masks: MaskRecord | None = None, streams: StreamRecord | None = None
    ) -> Generator[Event, None, None]:
        """Draw all layers of a request. Closing the iterator cancels between two steps.

        The same request gives the same bytes on the same machine.

        Args:
            masks: collects the priors and masks of every step.
            streams: collects every stream's estimate of the clean latents at every step, some of them as pictures.

        Yields:
            Notice, Progress, Preview, LayerReady for every layer as soon as it is done, and Finished.

        Raises:
            InvalidRequest: a value this model cannot work with.
            BrokenModel: the weights cannot be read.
            OutOfMemory: the picture does not fit into memory, not even with the thriftiest policy.
        """
        try:
            yield from self.spec.notices(request.size, [source.prompt for source in request.sources])
            if self._bundle is None:
                yield Progress(stage="loading_model", step=0, total=1)
                self._bundle = load_model(self.spec, device=self._device or best_device())
            job = _Job(self._bundle, request, masks, streams)
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
    """The request's values, with the model's own where it left them out."""

    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str
    fusion: FusionSettings

    @staticmethod
    def of(request: GenerationRequest, spec: ModelSpec) -> _Choices:
        asked = {name: getattr(request, name) for name in _Choices.__dataclass_fields__}
        return _Choices(**{name: getattr(spec.defaults, name) if v is None else v for name, v in asked.items()})


class _Job:
    """One request on one loaded model."""

    def __init__(
        self, bundle: ModelBundle, request: GenerationRequest, masks: MaskRecord | None, streams: StreamRecord | None
    ) -> None:
        spec = bundle.spec
        self._bundle = bundle
        self._request = request
        self._choices = _Choices.of(request, spec)
        self._streams = Streams(len(request.foregrounds))
        self._framing = working_size(request.size, stride=spec.stride, native_area=spec.native_area)
        self._sampler = self._new_sampler()
        self._recorder = Recorder(bundle, self._streams, self._sampler, masks, streams)
        self._refinement: TiledRefinement | None = None
        self._drift: list[Notice] = []

    def _new_sampler(self) -> Sampler:
        return Sampler(self._bundle, self._choices.sampler, self._choices.steps, self._seeds())

    @property
    def size(self) -> MemoryDemand:
        """What the job asks of memory."""
        return MemoryDemand(rows=self._streams.count, pixels=self._framing.working.area)

    @property
    def _latent_grid(self) -> tuple[int, int]:
        factor = self._bundle.latent_factor
        return self._framing.working.height // factor, self._framing.working.width // factor

    def run(self) -> Iterator[Event]:
        for prompt in truncated_prompts(self._bundle, self._positive_prompts()):
            text = f"The model reads only the beginning of “{shortened(prompt, 40)}”."
            yield Notice(code="prompt_truncated", text=text)
        yield from self._sampler.notices
        yield Progress(stage="reading_prompts", step=0, total=1)
        negative, positive = self._prompts()
        noise = self._noise()
        drafts = yield from self._drafts(noise, negative, positive)
        known = source_constraints(self._bundle, self._request, self._choices.fusion, self._framing, drafts)
        coupling = self._coupling(positive, known.shapes)
        ids = time_ids(self._bundle, self._framing.working, 1)

        total, started = self._choices.steps, time.monotonic()
        yield Progress(stage="drawing", step=0, total=total)
        latents = noise
        with attached(self._bundle.unet, coupling, self._bundle.deltas):
            for step in denoise(
                self._bundle,
                self._sampler,
                coupling,
                noise=noise,
                negative=negative,
                positive=positive,
                time_ids=ids,
                guidance_scale=self._choices.guidance_scale,
                guidance_rescale=self._choices.guidance_rescale,
                pins=known.pins,
                anchors=known.anchors,
            ):
                latents = step.latents
                self._recorder.note(coupling, step)
                done = step.index + 1
                eta = (time.monotonic() - started) / done * (total - done)
                yield Progress(stage="drawing", step=done, total=total, eta=eta)
                if is_due(done, total):
                    yield from self._previews(step.estimate)
        if self._request.refine > 0 and self._framing.scale > 1:
            yield from self._refine(latents)
        yield from self._layers(latents)

    def _refine(self, latents: Tensor) -> Iterator[Event]:
        """Draw the enlarged layers over once more in tiles; what comes of it takes their place.

        Without words and guidance: told of a penguin, every tile would grow one of its own.
        """
        streams, request = self._streams, self._request
        wordless = encode_prompts(self._bundle, [""] * streams.count, negative=True)
        pictures = {k: self._foreground(latents, k).pixels for k in range(streams.foregrounds)}
        for index, source in enumerate(request.foregrounds):
            if isinstance(source, Kept):
                whole = Framing(request.size, request.size)
                pictures[index] = to_working(source.layer.pixels, source.layer.offset, whole)
        pictures |= {row: self._opaque(latents, row) for row in (streams.background, streams.blended)}
        held = {stream for stream, source in enumerate(request.sources) if isinstance(source, Kept)}
        work = TiledRefinement(self._bundle, streams, pictures, self._seeds(), held, request.refine)

        def draw(
            size: Size, noise: Tensor, pins: tuple[LatentConstraint, ...], shapes: dict[int, KnownShape]
        ) -> Tensor:
            factor = self._bundle.latent_factor
            coupling = replace(
                self._coupling(wordless, shapes), latent_grid=(size.height // factor, size.width // factor)
            )
            with attached(self._bundle.unet, coupling, self._bundle.deltas):
                *_, last = denoise(
                    self._bundle,
                    self._new_sampler(),  # a solver remembers its steps
                    coupling,
                    noise=noise,
                    negative=wordless,
                    positive=wordless,
                    time_ids=time_ids(self._bundle, size, 1),
                    guidance_scale=1.0,
                    guidance_rescale=0.0,
                    pins=pins,
                )
            return last.latents

        total = len(work.tiles)
        yield Progress(stage="refining", step=0, total=total)
        for done in work.run(draw):
            yield Progress(stage="refining", step=done, total=total)
        self._refinement = work

    def _drafts(
        self, noise: Tensor, negative: Conditioning, positive: Conditioning
    ) -> Generator[Event, None, dict[int, Pixels]]:
        """Foregrounds that are to stand in a box, drawn alone: at the size the model likes, to be moved there."""
        placed = [
            i for i, source in enumerate(self._request.foregrounds) if isinstance(source, Generated) and source.box
        ]
        if not placed:
            return {}
        streams, total = Streams(len(placed), alone=True), self._choices.steps
        coupling = Coupling(streams, FusionSettings(blend_start=0.0), self._latent_grid, positive.end_of_text[placed])
        latents = noise[placed]
        with attached(self._bundle.unet, coupling, self._bundle.deltas):
            for step in denoise(
                self._bundle,
                Sampler(self._bundle, self._choices.sampler, total),
                coupling,
                noise=latents,
                negative=negative[placed],
                positive=positive[placed],
                time_ids=time_ids(self._bundle, self._framing.working, 1),
                guidance_scale=self._choices.guidance_scale,
                guidance_rescale=self._choices.guidance_rescale,
            ):
                latents = step.latents
                yield Progress(stage="drafting", step=step.index + 1, total=total)
        return {index: decode_rgba(self._bundle, latents[row : row + 1]) for row, index in enumerate(placed)}

    def _prompts(self) -> tuple[Conditioning, Conditioning]:
        """What each stream is told to avoid, and to draw."""
        negative = encode_prompts(self._bundle, self._negative_prompts(), negative=True)
        return negative, encode_prompts(self._bundle, self._positive_prompts())

    def _positive_prompts(self) -> list[str]:
        """One a stream; the blended one's is made of the others' unless it was asked for."""
        request = self._request
        foregrounds = [source.prompt for source in request.foregrounds]
        background = request.background.prompt
        whole = request.blended_prompt or self._bundle.spec.blended_prompt(foregrounds[::-1], background)
        return [*foregrounds, background, whole]

    def _negative_prompts(self) -> list[str]:
        """One a stream; the blended stream avoids what any of its parts avoids."""
        own = ["" if isinstance(source, Kept) else source.negative_prompt.strip() for source in self._request.sources]
        return [*own, ", ".join(dict.fromkeys(text for text in own if text))]

    def _coupling(self, positive: Conditioning, shapes: dict[int, KnownShape]) -> Coupling:
        negatives = self._negative_prompts()
        return Coupling(
            streams=self._streams,
            settings=self._choices.fusion,
            latent_grid=self._latent_grid,
            end_of_text=positive.end_of_text[: self._streams.foregrounds],
            shapes=shapes,
            share_unconditional=negatives[self._streams.background] == negatives[self._streams.blended],
        )

    def _seeds(self) -> list[int]:
        """One a stream; the blended one's noise is always the background's."""
        request, fusion = self._request, self._choices.fusion
        seeds = [request.foreground_seed(index, fusion.init_noise) for index in range(self._streams.foregrounds)]
        return [*seeds, *[request.background_seed] * 2]

    def _noise(self) -> Tensor:
        """Every stream's initial noise; the blended one always starts from the background's."""
        channels = self._bundle.unet.config["in_channels"]
        return initial_noise(self._seeds(), channels, *self._latent_grid).to(self._bundle.device)

    def _previews(self, estimate: Tensor) -> Iterator[Preview]:
        for stream in (*open_streams(self._request), self._streams.blended):
            pixels = preview(
                self._bundle, estimate[stream : stream + 1], transparent=stream < self._streams.foregrounds
            )
            if stream < self._streams.foregrounds:
                yield Preview(role=Role.FOREGROUND, index=stream, pixels=pixels)
            else:
                role = Role.BACKGROUND if stream == self._streams.background else Role.BLENDED
                yield Preview(role=role, index=0, pixels=pixels)

    def _layers(self, latents: Tensor) -> Iterator[Event]:
        """Decode and announce: what the artist waits for first, first."""
        layers: dict[int, Layer] = {}
        pasted = [
            *self._backgrounds(latents),
            *(self._foreground(latents, i) for i in range(self._streams.foregrounds)),
        ]
        total = len(self._request.foregrounds) + 4 + needs_filling(self._request)
        yield from dict.fromkeys(self._drift)

        def ready(place: int, layer: Layer) -> Iterator[Event]:
            layers[place] = layer
            yield LayerReady(layer=layer, index=place)
            yield Progress(stage="decoding", step=len(layers), total=total, eta=0.0)

        for place, layer in enumerate(pasted):
            yield from ready(place, layer)
        blended = self._opaque(latents, self._streams.blended)
        yield from ready(total - 1, Layer(name="Blended", role=Role.BLENDED, pixels=blended, visible=False))
        for place, layer in enumerate(self._harmony(blended, tuple(pasted)), start=total - 3):
            yield from ready(place, layer)
        stack = tuple(layers[place] for place in range(total))
        yield Finished(stack=LayerStack(name=self._title(), size=self._request.size, layers=stack))

    def _harmony(self, blended: Pixels, pasted: tuple[Layer, ...]) -> tuple[Layer, Layer]:
        """Shadow and Light, from the layers that were really returned."""
        exact = self._request.harmony.mode == "exact"
        whole = LayerStack(name="", size=self._request.size, layers=pasted)
        if exact:
            shadow, light = exact_layers(blended, flatten(whole))
        else:
            objects = replace(whole, layers=tuple(whole.by_role(Role.FOREGROUND)))
            shadow, light = clean_layers(blended, flatten(whole), to_unit(flatten(objects)[..., 3]))
        suffix = " (exact, this arrangement)" if exact else ""
        return (
            Layer(name="Shadow" + suffix, role=Role.SHADOW, pixels=shadow, blend=BlendMode.MULTIPLY),
            Layer(name="Light" + suffix, role=Role.LIGHT, pixels=light, blend=BlendMode.ADD),
        )

    def _opaque(self, latents: Tensor, row: int) -> Pixels:
        if self._refinement is not None:
            return self._refinement.refined[row]
        return to_canvas(decode_rgb(self._bundle, latents[row : row + 1]), self._framing)

    def _backgrounds(self, latents: Tensor) -> Iterator[Layer]:
        """One layer; or two, if the artist's own leaves something open: what was drawn there, and hers above it."""
        source = self._request.background
        if not isinstance(source, Kept) or needs_filling(self._request):
            name = "Background" if not isinstance(source, Kept) else "Background, filled in"
            yield Layer(name=name, role=Role.BACKGROUND, pixels=self._opaque(latents, self._streams.background))
        if isinstance(source, Kept):
            yield source.layer

    def _foreground(self, latents: Tensor, index: int) -> Layer:
        """Drawn, with colour bled under its edge; or kept, untouched."""
        source = self._request.foregrounds[index]
        if isinstance(source, Kept):
            return source.layer
        drawn, before_grey = decode_foreground(self._bundle, latents[index : index + 1])
        if self._bundle.spec.transparency.kind == "layerdiffuse":
            self._drift += filter(None, [drift_notice(drawn, before_grey)])
        finer = self._refinement
        guide = None if finer is None else finer.guides[index]
        pixels = foreground_to_canvas(drawn, before_grey, self._framing, guide)
        if finer is not None:
            pixels[..., :3] = finer.refined[index][..., :3]
        pixels = bleed(pixels)
        name = "Foreground" if self._streams.foregrounds == 1 else f"Foreground {index + 1}"
        if isinstance(source, Relit):
            name = f"{source.layer.name.removesuffix(' (relit)')[:245]} (relit)"
        return Layer(name=name, role=Role.FOREGROUND, pixels=pixels)

    def _title(self) -> str:
        """The group's name: what the picture shows, short enough for a layer list."""
        return shortened(" + ".join(source.prompt for source in self._request.sources), 80)
