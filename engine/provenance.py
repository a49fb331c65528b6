"""What a drawn stack was made from, attached to the stack and its layers."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata

from layerfusion.engine.diffusion.stream_inputs import negative_prompts, positive_prompts, stream_seeds
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.image.record import LayerRecord, LoraRecord, PictureRecord
from layerfusion.engine.models.catalog.digests import known_digest
from layerfusion.engine.models.catalog.spec import SAMPLERS, ModelSpec
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import PRESETS
from layerfusion.engine.request import HARMONISE_STRENGTH, GenerationRequest
from layerfusion.engine.sources import Generated, Kept
from layerfusion.engine.stack import LayerStack


def with_records(
    stack: LayerStack, request: GenerationRequest, spec: ModelSpec | None, created: float | None = None
) -> LayerStack:
    """The stack with a record of how it and each of its layers was made.

    Args:
        stack: what the pipeline drew for the request: backgrounds, foregrounds, Shadow, Light and Blended.
        spec: the model; None if this machine does not know the model that a server has drawn with. What the request
            leaves to the model's defaults is then not recorded.
        created: when it was drawn, in seconds since 1970. None takes SOURCE_DATE_EPOCH from the environment, which pins
            the date of files that are to be reproducible (https://reproducible-builds.org), or else the time.
    """
    fusion = request.fusion or (None if spec is None else spec.defaults.fusion)
    seeds = [None] * (len(request.sources) + 1) if fusion is None else stream_seeds(request, fusion.init_noise)
    negative = negative_prompts(request)
    words = [source.prompt for source in request.sources]
    words.append(positive_prompts(request, spec)[-1] if spec is not None else request.blended_prompt or "")
    count = len(request.foregrounds)
    drawn = [
        LayerRecord(prompt=prompt, negative_prompt=avoided, seed=seed)
        for prompt, avoided, seed in zip(words, negative, seeds, strict=True)
    ]

    def of_source(index: int) -> LayerRecord:
        source, record = request.sources[index], drawn[index]
        if isinstance(source, Generated):
            box = source.box and (source.box.x, source.box.y, source.box.width, source.box.height)
            return replace(record, box=box, shape="" if source.shape is None else source.shape.text)
        digest = hashlib.sha256(source.layer.pixels.tobytes()).hexdigest()
        if isinstance(source, Kept):
            return replace(record, source="kept", seed=None, sha256=digest)
        return replace(record, source="relit", strength=source.strength, sha256=digest)

    foregrounds = iter(range(count))
    filled = len(stack.by_role(Role.BACKGROUND)) > 1  # a kept background with holes: the lower one was drawn

    def of_layer(place: int, layer: Layer) -> LayerRecord:
        match layer.role:
            case Role.FOREGROUND:
                return of_source(next(foregrounds))
            case Role.BACKGROUND:
                return drawn[count] if filled and place == 0 else of_source(count)
            case Role.BLENDED:
                return drawn[count + 1]
            case _:
                return LayerRecord(source="derived")

    layers = tuple(replace(layer, record=of_layer(place, layer)) for place, layer in enumerate(stack))
    return replace(stack, layers=layers, record=_of_picture(request, spec, words[-1], created))


def _of_picture(
    request: GenerationRequest, spec: ModelSpec | None, blended: str, created: float | None
) -> PictureRecord:
    strength = HARMONISE_STRENGTH if request.composable else None
    record = PictureRecord(
        tool=_tool(),
        created=_moment(created),
        model=request.model,
        seed=request.seed,
        blended_prompt=blended,
        blended_strength=strength if request.blended_strength is None else request.blended_strength,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
        guidance_rescale=request.guidance_rescale,
        sampler=request.sampler or "",
        harmony=request.harmony.mode,
        refine=request.refine or None,
    )
    return record if spec is None else _completed(record, request, spec)


def _completed(record: PictureRecord, request: GenerationRequest, spec: ModelSpec) -> PictureRecord:
    """The record with what the model says, and its defaults where the request leaves a value out."""
    fusion = request.fusion or spec.defaults.fusion
    defaults, adapter = spec.defaults_with(fusion), spec.adapter_for(fusion)
    preset, settings = _changes(fusion, defaults.fusion)
    sampler = request.sampler or defaults.sampler
    return replace(
        record,
        model=spec.name,
        model_sha256=known_digest(spec.checkpoint),
        loras=tuple(
            LoraRecord(name=_file_name(str(lora.file)), sha256=known_digest(lora.file), weight=float(lora.weight))
            for lora in (*spec.loras, *([adapter.lora] if adapter is not None else []))
        ),
        steps=defaults.steps if request.steps is None else request.steps,
        guidance_scale=defaults.guidance_scale if request.guidance_scale is None else request.guidance_scale,
        guidance_rescale=defaults.guidance_rescale if request.guidance_rescale is None else request.guidance_rescale,
        sampler=sampler,
        sampler_title=SAMPLERS.get(sampler, ""),
        preset=preset,
        settings=settings,
        native_size=spec.native_size,
    )


def _changes(fusion: FusionSettings, defaults: FusionSettings) -> tuple[str, tuple[str, ...]]:
    """The preset that these settings are, or the options that differ from the model's, as "name=value"."""
    if fusion == defaults:
        return "", ()
    for preset in PRESETS:
        if fusion == defaults.preset(preset):
            return preset, ()
    usual = defaults.words()
    return "", tuple(f"{name}={value}" for name, value in fusion.words().items() if value != usual[name])


def _moment(created: float | None) -> str:
    if created is None:
        pinned = os.environ.get("SOURCE_DATE_EPOCH", "")
        created = float(pinned) if pinned.isdecimal() and len(pinned) < 12 else time.time()
    return datetime.fromtimestamp(int(created), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _file_name(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


@cache
def _tool() -> str:
    return f"LayerFusion {metadata.version('layerfusion')}"
