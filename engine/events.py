"""What `LayerFusionPipeline.generate` yields while it works, in the order it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.stack import LayerStack

Stage = Literal["loading_model", "reading_prompts", "drafting", "drawing", "refining", "decoding"]
"""What a job is busy with, in the order in which a job passes through them. Codes, for programs."""

STAGES: Mapping[str, str] = {
    "loading_model": "loading the model",
    "reading_prompts": "reading the prompts",
    "drafting": "drafting the foregrounds that have a box",
    "drawing": "drawing",
    "refining": "refining",
    "decoding": "decoding the layers",
}
"""Each `Stage` in words for a person, as they follow "the engine is"."""

NoticeCode = Literal[
    "demo_model",
    "unknown_words",
    "prompt_truncated",
    "sampler_replaced",
    "memory_policy_changed",
    "checkpoint_drifted",
]
"""Every notice there is. `server/protocol/PROTOCOL.md` says what each means."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One step of one stage is done.

    Attributes:
        stage: what is going on, as a code that a program may translate.
        step: steps done, 0 to `total`.
        total: steps of this stage, at least 1.
        eta: seconds until the whole job is done, as far as it can be told; None at the start.
        text: the stage in words for a person; empty takes those of `STAGES`.
    """

    stage: Stage
    step: int
    total: int
    eta: float | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", STAGES.get(self.stage, self.stage))


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the user must know to judge the picture. It is said once, and unlike `Progress` it is never left out.

    Attributes:
        code: what it is about, as a code that a program may act on.
        text: the same for a person, naming the values. One or more sentences.
    """

    code: NoticeCode
    text: str


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


Event = Progress | Notice | Preview | LayerReady | Finished
