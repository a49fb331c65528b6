"""What `LayerFusionPipeline.generate` yields while it works, in the order it happens."""

from __future__ import annotations

from dataclasses import dataclass

from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.stack import LayerStack


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step of one stage is done.

    Attributes:
        stage: what is going on, in words for a person: "loading the model", "drawing", "decoding", ….
        step: steps done, 0 to `total`.
        total: steps of this stage, at least 1.
        eta: seconds until the whole job is done, as far as it can be told; None at the start.
    """

    stage: str
    step: int
    total: int
    eta: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """A small picture of a layer that is still being drawn. May be dropped.

    Attributes:
        role: which layer.
        index: 0 for background and blended, 0 … K-1 for the foregrounds.
        pixels: uint8 (h, w, 4), straight alpha, in the canvas's shape, at most 256 px a side.
    """

    role: Role
    index: int
    pixels: Pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReady:
    """A layer is finished; `index` is its place in the final stack, bottom first, from 0."""

    layer: Layer
    index: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """All layers are done. The stack holds the very layers that were announced."""

    stack: LayerStack


Event = Progress | Preview | LayerReady | Finished
