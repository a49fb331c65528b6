"""What drawing costs beside a stock picture, in parts: `layerfusion benchmark --drawing`.

All is processor time of one thread, so that it says the same on a busy machine. The ways of drawing and diffusers' own
pipeline take turns in one process, on the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import get_args

from layerfusion.engine.evaluation.prices import request_for, stock_picture
from layerfusion.engine.events import Event, Finished, LayerReady, Preview, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Role
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.runtime.devices import threads_of_torch
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.server.cli.timings import TIMES, measured

STOCK = "stock picture"
PARTS: tuple[str, ...] = ("prompts", "steps", "previews", "decoding", "Shadow, Light")
"""The parts of a job, in the order in which they begin."""

_OBJECT, _SCENE = "a red apple", "a beach at sunset"


@dataclass(frozen=True)
class Drawn:
    """Processor seconds of one warm job.

    Attributes:
        parts: name of `PARTS` -> seconds; together they are the job.
        first_preview: from the beginning until the first preview is there.
        previews: how many pictures were shown while it was drawn.
    """

    parts: Mapping[str, float]
    first_preview: float
    previews: int

    @property
    def whole(self) -> float:
        """Seconds of the whole job."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class DrawingCost:
    """Jobs of every preset, and stock pictures in as many steps as the model takes without a few-step adapter."""

    stock: tuple[float, ...]
    jobs: Mapping[Preset, tuple[Drawn, ...]]

    def to_stock(self, preset: Preset) -> float:
        """What a job costs, in stock pictures; of the medians."""
        return median(job.whole for job in self.jobs[preset]) / median(self.stock)

    def first_preview(self, preset: Preset) -> float:
        """The share of a job after which the first preview is there; the median."""
        return median(job.first_preview / job.whole for job in self.jobs[preset])

    def each_preview(self, preset: Preset) -> float:
        """The share of a job that one picture of a preview takes; the median, 0 if there was none."""
        return median(job.parts["previews"] / max(1, job.previews) / job.whole for job in self.jobs[preset])


def measure(spec: ModelSpec, times: int = TIMES, steps: int | None = None) -> DrawingCost:
    """Draw the same layers with every preset and a stock picture, in turn.

    Args:
        spec: the model, in diffusers' layout.
        times: how many rounds are measured; one more comes before them.
        steps: of every way of drawing; None takes the model's own, and those of its few-step adapter.
    """
    presets: tuple[Preset, ...] = get_args(Preset)
    # A model for each, so that no job has to put the few-step adapter into the weights or take it out.
    models: dict[Preset, LayerFusionPipeline] = {preset: LayerFusionPipeline(spec) for preset in presets}
    stock, spent = stock_picture(spec, steps), list[float]()
    jobs: dict[Preset, list[Drawn]] = {preset: [] for preset in presets}
    size = Size(spec.native_size, spec.native_size)
    with threads_of_torch(1):
        for seed in range(times + 1):
            spent.append(measured(lambda seed=seed: stock(seed))[0])
            for preset, model in models.items():
                request = replace(request_for(spec, size, _OBJECT, _SCENE, seed, preset), steps=steps)
                jobs[preset].append(drawn(model.generate(request)))
    return DrawingCost(tuple(spent[1:]), {preset: tuple(found[1:]) for preset, found in jobs.items()})


def drawn(events: Iterator[Event]) -> Drawn:
    """Go through a job's events; what is spent until one of them belongs to the part that it ends."""
    parts, first, shown = dict.fromkeys(PARTS, 0.0), None, 0
    part, started = PARTS[0], time.process_time()
    last = started
    for event in events:
        now, part = time.process_time(), _part(event, part)
        parts[part] += now - last
        last = now
        if isinstance(event, Preview):
            first, shown = now - started if first is None else first, shown + 1
    parts[part] += time.process_time() - last
    return Drawn(parts, sum(parts.values()) if first is None else first, shown)


def _part(event: Event, before: str) -> str:
    """The part of the job that ends with an event; `before` is that of the event before."""
    if isinstance(event, Preview):
        return "previews"
    if isinstance(event, Progress) and event.step:
        return {"drawing": "steps", "decoding": before}.get(event.stage, PARTS[0])
    if isinstance(event, Finished) or (isinstance(event, LayerReady) and event.layer.role in (Role.SHADOW, Role.LIGHT)):
        return "Shadow, Light"
    return "decoding" if isinstance(event, LayerReady) else before
