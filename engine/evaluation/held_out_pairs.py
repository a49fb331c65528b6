"""The pairs of an object and a scene that the model card measures, and how they are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from layerfusion.engine.evaluation.prices import request_for
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Role
from layerfusion.engine.inspection.recorder import Recorder
from layerfusion.engine.inspection.records import MaskRecord
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.stack import LayerStack
from layerfusion.engine.training.data.vocabulary import (
    FIRST,
    OUTDOOR,
    SINGLE,
    STUDIOS,
    TIMES,
    WALLS,
    Vocabulary,
    is_held_out,
    with_article,
)


@dataclass(frozen=True)
class Item:
    """One pair of an object and a scene to draw."""

    name: str
    scene: str
    seed: int


@dataclass(frozen=True)
class Drawn:
    """A drawn item: three images, uint8 (H, W, 4), and the masks of the coupling."""

    item: Item
    foreground: NDArray[np.uint8]
    background: NDArray[np.uint8]
    blended: NDArray[np.uint8]
    masks: MaskRecord


def held_out_items(count: int, seed: int, vocabulary: Vocabulary = FIRST) -> list[Item]:
    """Pairs of every object, in turn, with a scene with which it is never trained; held-out colours with any scene."""
    rng = np.random.default_rng(seed)
    shown, items = set(vocabulary.names(held_out=False)), []
    while len(items) < count:
        for name in vocabulary.names(held_out=True):
            kinds = [kind for kind in vocabulary.kinds if name not in shown or is_held_out(name, kind)]
            if kinds and len(items) < count:
                items.append(Item(name, scene_caption(rng, str(rng.choice(kinds))), seed + len(items)))
    return items


def scene_caption(rng: np.random.Generator, kind: str) -> str:
    """A scene of this kind, at any time of day if it is outside."""
    if kind in OUTDOOR:
        return f"{OUTDOOR[kind]} {TIMES[str(rng.choice(list(TIMES)))][0]}"
    if kind == "room":
        return f"a room with a {rng.choice(WALLS)} wall"
    if kind == "studio":
        return with_article(f"{rng.choice(STUDIOS)} studio background")
    return str(rng.choice(SINGLE[kind]))


def draw(spec: ModelSpec, items: list[Item], preset: Preset | None = None) -> Iterator[Drawn]:
    """Draw every item with `LayerFusionPipeline` at the model's native size: in all its steps, or with a preset."""
    pipeline = LayerFusionPipeline(spec)
    size = Size(spec.native_size, spec.native_size)
    for item in tqdm(items, desc="drawing", mininterval=10):
        record = MaskRecord()
        stack: LayerStack | None = None
        request = request_for(spec, size, with_article(item.name), item.scene, item.seed, preset)
        for event in pipeline.generate(request, Recorder(record)):
            if isinstance(event, Finished):
                stack = event.stack
        assert stack is not None

        def pixels(role: Role, stack: LayerStack = stack) -> NDArray[np.uint8]:
            return next(layer.pixels for layer in stack.layers if layer.role is role)

        yield Drawn(item, pixels(Role.FOREGROUND), pixels(Role.BACKGROUND), pixels(Role.BLENDED), record)
