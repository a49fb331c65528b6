"""The events that `LayerFusionPipeline.generate` yields while it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.notices import Notice
from layerfusion.engine.stack import LayerStack

Stage = Literal["loading_model", "reading_prompts", "drafting", "drawing", "refining", "decoding"]
"""What a job is doing, as codes for programs, in the order in which a job passes through them."""

STAGES: Mapping[str, str] = {
    "loading_model": "loading the model",
    "reading_prompts": "reading the prompts",
    "drafting": "drafting the foregrounds that have a box",
    "drawing": "drawing",
    "refining": "refining",
    "decoding": "decoding the layers",
}
"""Each `Stage` in words for a person. They complete the sentence "The engine is …"."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step of one stage is done.

    Attributes:
        stage: what the job is doing, as a code that a program may translate.
        step: number of steps done, 0 to `total`.
        total: number of steps of this stage, at least 1.
        eta: estimated seconds until the whole job is done; None while there is no estimate.
        text: the stage in words for a person; an empty text is replaced by that of `STAGES`.
    """

    stage: Stage
    step: int
    total: int
    eta: float | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", STAGES.get(self.stage, self.stage))


@dataclass(frozen=True, kw_only=True, eq=False)
class Preview:
    """A small picture of a layer that is still being drawn. The server may drop it if the client is slow.

    Attributes:
        role: the layer's role.
        index: 0 for background and blended; 0 … K-1, bottom first, for the K foregrounds.
        pixels: uint8 (h, w, 4), straight alpha, in the canvas's shape, at most 256 px a side.
    """

    role: Role
    index: int
    pixels: Pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReady:
    """A layer is finished.

    Attributes:
        layer: the layer.
        index: its place in the final stack, counted from 0 at the bottom.
    """

    layer: Layer
    index: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """All layers are done. The stack holds the same layer objects that the `LayerReady` events announced."""

    stack: LayerStack


Event = Progress | Notice | Preview | LayerReady | Finished
