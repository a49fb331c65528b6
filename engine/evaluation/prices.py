"""What a job of a model costs, beside what diffusers' own pipeline takes for one picture."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.quiet import quiet_libraries
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest


def request_for(
    spec: ModelSpec, size: Size, thing: str, scene: str, seed: int, preset: Preset | None = None
) -> GenerationRequest:
    """One object before a scene, in all steps of the model or with a preset."""
    own = spec.defaults.fusion
    return GenerationRequest(
        size=size,
        foregrounds=(Generated(prompt=thing),),
        background=Generated(prompt=scene),
        seed=seed,
        fusion=own.changed({"few_steps": False}) if preset is None else own.preset(preset),
        model=spec.name,
    )


def stock_picture(spec: ModelSpec, steps: int | None = None) -> Callable[[int], None]:
    """What draws the picture of a seed by diffusers' own pipeline, with the model's weights, size and guidance.

    Args:
        spec: a model in diffusers' layout.
        steps: None takes the model's own number.
    """
    with quiet_libraries():
        stock = StableDiffusionXLPipeline.from_pretrained(
            str(spec.folder), add_watermarker=False, local_files_only=True
        ).to(torch.float32)
    stock.set_progress_bar_config(disable=True)

    def picture(seed: int) -> None:
        stock(
            prompt="a red apple on a beach at sunset",
            height=spec.native_size,
            width=spec.native_size,
            num_inference_steps=steps or spec.defaults.steps,
            guidance_scale=spec.defaults.guidance_scale,
            guidance_rescale=spec.defaults.guidance_rescale,
            generator=torch.Generator().manual_seed(seed),
        )

    return picture


def seconds(spec: ModelSpec, runs: int = 7) -> dict[str, float]:
    """Median times of a job with three layers and of one image by diffusers' pipeline, after a warm-up, in seconds, and
    the processor time of the preset `fast` divided by that of `paper`.

    All alternate in one process.
    """
    pipeline, picture = LayerFusionPipeline(spec), stock_picture(spec)
    size = Size(spec.native_size, spec.native_size)

    def job(seed: int, preset: Preset | None = None) -> None:
        for _event in pipeline.generate(request_for(spec, size, "a red apple", "a beach at sunset", seed, preset)):
            pass

    taken: dict[str, list[float]] = {"job": [], "picture": []}
    worked: dict[Preset, list[float]] = {"paper": [], "fast": []}
    for seed in range(runs + 1):
        for name, run in (("job", job), ("picture", picture)):
            started = time.monotonic()
            run(seed)
            taken[name].append(time.monotonic() - started)
        for preset, times in worked.items():
            job(seed, preset)  # adds the adapter to the weights, or takes it away
            started = time.process_time()
            job(seed, preset)
            times.append(time.process_time() - started)
    whole, one = (float(np.median(taken[name][1:])) for name in ("job", "picture"))
    fast, paper = (float(np.median(worked[preset][1:])) for preset in ("fast", "paper"))
    return {
        "seconds_per_job": whole,
        "stock_seconds_per_picture": one,
        "job_to_stock": whole / one,
        "fast_to_paper": fast / paper,
    }
