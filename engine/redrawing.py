"""Drawing from files: harmonise a stack that an artist has changed, or draw a picture again by its record."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.image.shape import Shape
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Source

_TITLE_SEPARATOR = " + "
"""Between the prompts in a stack's title, foregrounds first; see `LayerFusionPipeline.generate`."""


@dataclass(frozen=True)
class Changes:
    """What is to differ from the file.

    Attributes:
        foregrounds: prompts of the foregrounds, bottom first; empty takes those of the file.
        background: prompt of the background; None takes the file's.
        seed: the job's seed; None takes the file's, or 0 if it has none.
    """

    foregrounds: tuple[str, ...] = ()
    background: str | None = None
    seed: int | None = None

    @property
    def prompts_stay(self) -> bool:
        return not self.foregrounds and self.background is None


@dataclass(frozen=True)
class Part:
    """A background or foreground of a recorded picture; `layer` is None if only the flat picture is there."""

    role: Role
    record: LayerRecord
    layer: Layer | None


def harmonise_request(stack: LayeredImage, spec: ModelSpec, changes: Changes) -> GenerationRequest:
    """The request that draws Shadow, Light and Blended anew for a stack as it is now.

    Every visible background and foreground is kept. Hidden foregrounds do not take part. Prompts and settings are the
    file's; where it has none, the prompts are taken from the stack's title, and the settings are the model's.

    Raises:
        InvalidRequest: there is no visible background or foreground, or a prompt is known from nowhere.
    """
    backgrounds, foregrounds = _seen(stack, Role.BACKGROUND), _seen(stack, Role.FOREGROUND)
    for layers, word in ((backgrounds, "Background"), (foregrounds, "Foreground")):
        if not layers:
            raise InvalidRequest(f"“{stack.name}” has no visible {word}.", f"Show one, or name a layer “{word}”.")
    prompts = _prompts(stack, foregrounds, backgrounds[-1], changes)
    whole = backgrounds[0] if len(backgrounds) == 1 else _merged(stack, backgrounds)
    unchanged = changes.prompts_stay and not any(not layer.visible for layer in stack.by_role(Role.FOREGROUND))
    return GenerationRequest(
        size=stack.size,
        background=Kept(layer=whole, prompt=prompts[-1]),
        foregrounds=tuple(Kept(layer=layer, prompt=p) for layer, p in zip(foregrounds, prompts, strict=False)),
        **_settings(stack.record, spec, changes, unchanged=unchanged and _all_recorded(foregrounds)),
    )


def put_back(stack: LayeredImage, drawn: LayeredImage) -> LayeredImage:
    """The artist's stack with the Shadow, Light and Blended that were drawn for `harmonise_request`.

    Backgrounds and foregrounds are the stack's own layers, hidden ones too, in their order. A layer that was drawn to
    fill the background's holes lies below them.

    Args:
        stack: what the request was made from.
        drawn: what the pipeline has made of the request.
    """
    own = [layer for layer in stack if layer.role in (Role.BACKGROUND, Role.FOREGROUND)]
    kept_prompts = iter(layer.record.prompt if layer.record else "" for layer in drawn.by_role(Role.FOREGROUND))
    background = drawn.by_role(Role.BACKGROUND)[-1].record
    layers: list[Layer] = list(drawn.by_role(Role.BACKGROUND)[:-1])
    for layer in own:
        if layer.role is Role.BACKGROUND:
            prompt = background.prompt if background is not None else ""
        else:
            prompt = next(kept_prompts, "") if layer.visible else (layer.record.prompt if layer.record else "")
        digest = hashlib.sha256(layer.pixels.tobytes()).hexdigest()
        layers.append(replace(layer, record=LayerRecord(source="kept", prompt=prompt, sha256=digest)))
    made = (Role.SHADOW, Role.LIGHT, Role.BLENDED)
    layers += [layer for layer in drawn if layer.role in made]
    return replace(drawn, name=stack.name, layers=tuple(layers), resolution=stack.resolution)


def parts_of(stack: LayeredImage) -> tuple[Part, ...]:
    """The recorded backgrounds and foregrounds of a stack, bottom first."""
    return tuple(
        Part(layer.role, layer.record, layer)
        for layer in stack
        if layer.record is not None and layer.role in (Role.BACKGROUND, Role.FOREGROUND)
    )


def again_request(
    size: Size, record: PictureRecord | None, parts: Sequence[Part], spec: ModelSpec, changes: Changes
) -> GenerationRequest:
    """The request that draws a recorded picture again; without changes it draws the same bytes on the same machine.

    Kept layers are taken from the file as they are there. With another seed, no layer has a seed of its own any more.

    Raises:
        InvalidRequest: the file records too little, or a layer was drawn over pixels that the file does not hold.
    """
    backgrounds = [part for part in parts if part.role is Role.BACKGROUND]
    foregrounds = [part for part in parts if part.role is Role.FOREGROUND]
    if record is None or not backgrounds or not foregrounds:
        raise InvalidRequest(
            "The file does not record how its picture was drawn.",
            "Choose a file that LayerFusion has written, or draw with “layerfusion generate”.",
        )
    _check_count(changes.foregrounds, len(foregrounds))
    fresh = changes.seed is not None
    prompts = changes.foregrounds or tuple(part.record.prompt for part in foregrounds)
    return GenerationRequest(
        size=size,
        background=_source(backgrounds[-1], changes.background or backgrounds[-1].record.prompt, fresh=fresh),
        foregrounds=tuple(_source(part, p, fresh=fresh) for part, p in zip(foregrounds, prompts, strict=True)),
        **_settings(record, spec, changes, unchanged=changes.prompts_stay),
    )


def _source(part: Part, prompt: str, *, fresh: bool) -> Source:
    record = part.record
    if not prompt:
        raise InvalidRequest(
            "The file does not hold the prompts of its picture.", "Give them with --foreground and --background."
        )
    if record.source == "generated":
        seed, box = None if fresh else record.seed, record.box and Box(*record.box)
        shape = Shape.from_text(record.shape) if record.shape and box else None
        return Generated(prompt, negative_prompt=record.negative_prompt, seed=seed, box=box, shape=shape)
    if record.source == "relit" or part.layer is None:
        why = "was drawn over pixels" if record.source == "relit" else "was kept, with pixels"
        raise InvalidRequest(
            f"A {part.role.value} {why} that the file does not hold.", "Draw it with “layerfusion generate --keep”."
        )
    return Kept(layer=part.layer, prompt=prompt)


def _seen(stack: LayeredImage, role: Role) -> list[Layer]:
    return [layer for layer in stack.by_role(role) if layer.visible]


def _all_recorded(layers: Sequence[Layer]) -> bool:
    return all(layer.record is not None and layer.record.prompt for layer in layers)


def _merged(stack: LayeredImage, layers: Sequence[Layer]) -> Layer:
    """Several background layers as one picture of the canvas's size."""
    pixels = flatten(replace(stack, layers=tuple(layers)))
    return Layer(name=layers[-1].name, role=Role.BACKGROUND, pixels=pixels, blend=BlendMode.NORMAL)


def _prompts(stack: LayeredImage, foregrounds: Sequence[Layer], background: Layer, changes: Changes) -> tuple[str, ...]:
    """What the foregrounds and the background show: as it is said now, as the layers record it, or by the title."""
    _check_count(changes.foregrounds, len(foregrounds))
    count = len(foregrounds)
    known = [layer.record.prompt if layer.record else "" for layer in (*foregrounds, background)]
    titles = stack.name.split(_TITLE_SEPARATOR)
    if len(titles) == count + 1 and not stack.name.endswith("…"):
        known = [prompt or title for prompt, title in zip(known, titles, strict=True)]
    said = (*(changes.foregrounds or known[:-1]), changes.background or known[-1])
    if not all(said):
        missing = next(layer for layer, prompt in zip((*foregrounds, background), said, strict=True) if not prompt)
        option = "--background" if missing is background else "--foreground"
        raise InvalidRequest(
            f"The file does not say what “{missing.name}” shows.", f'Say it in a few words: {option} "a red apple".'
        )
    return said


def _check_count(prompts: Sequence[str], count: int) -> None:
    if prompts and len(prompts) != count:
        raise InvalidRequest(
            f"{len(prompts)} foreground prompts are given, and the picture has {count} foregrounds.",
            "Give one for each, the lowest foreground first.",
        )


def _settings(record: PictureRecord | None, spec: ModelSpec, changes: Changes, *, unchanged: bool) -> dict[str, Any]:
    """The fields of a request that say how to draw. What suits another model only is left to this one's defaults.

    Args:
        unchanged: the prompts are those of the record, so that its blended prompt still fits.
    """
    seed = changes.seed
    if record is None:
        return {"seed": seed or 0, "model": spec.name}
    settings = {name: value for name, _, value in (setting.partition("=") for setting in record.settings)}
    fusion = None
    if spec.name == record.model:
        adapter = spec.few_step_adapter
        lora = adapter and Path(str(adapter.lora.file)).name
        few = any(used.name == lora for used in record.loras)
        fusion = spec.defaults.fusion.changed({"few_steps": few}).adjusted(record.preset or None, settings)
        fusion = None if fusion == spec.defaults.fusion else fusion
    return {
        "seed": (record.seed or 0) if seed is None else seed,
        "model": spec.name,
        "blended_prompt": record.blended_prompt or None if unchanged else None,
        "steps": record.steps,
        "guidance_scale": record.guidance_scale,
        "guidance_rescale": record.guidance_rescale,
        "sampler": record.sampler if record.sampler in spec.samplers else None,
        "fusion": fusion,
        "harmony": HarmonySettings(mode="exact" if record.harmony == "exact" else "clean"),
        "refine": record.refine or 0.0,
    }
