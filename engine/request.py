"""A request: everything that one job draws, complete and validated when the object is made."""

# pyright: reportUnnecessaryIsInstance=false
# Callers without a type checker may pass values of any type; the error then names the field and the type.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Size, check_canvas
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.options.checks import check_number, check_text, check_whole, said
from layerfusion.engine.options.fusion import FusionSettings, InitNoise
from layerfusion.engine.options.harmony import HarmonyMode, HarmonySettings
from layerfusion.engine.sources import MAX_SEED, Existing, Generated, Kept, Relit, Source, check_prompt

MAX_STEPS = 150
MAX_FOREGROUNDS = 6
HARMONISE_STRENGTH = 0.75
"""Strength of the blended picture, 0-1, if every layer is kept or relit (our choice): high enough for shadow and light
to appear. The objects keep their structure at any strength."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerationRequest:
    """One job. Values that are None come from the model's defaults.

    The constructor also accepts plain values and converts them: (width, height) for the size, a text for a source to
    be generated, one source for the only foreground, "exact" for the harmony. The attributes have the types below. A
    kept or relit layer gets the role of the field it is given to.

    Attributes:
        size: the canvas, 64-4096 px a side, at most 4:1.
        background: where the background comes from.
        foregrounds: where the foregrounds come from, bottom first, 1-6.
        blended_prompt: what the whole picture shows; None makes it from the other prompts.
        blended_strength: how much of the blended picture is drawn anew over the composite of the layers, 0-1; values
            below 1 are allowed only if no layer is `Generated`. None takes `HARMONISE_STRENGTH` in that case, and 1
            otherwise.
        seed: the job's seed, 0 to 2^53-1; layers without a seed of their own derive theirs from it.
        steps: denoising steps, 1-150.
        guidance_scale: classifier-free guidance, 1 (off) to 30.
        guidance_rescale: 0 (off) to 1.
        sampler: a name that `layerfusion models` lists.
        fusion: how the streams are coupled.
        harmony: how Shadow and Light are made.
        refine: on a canvas larger than the model's working size, how much of the enlarged layers is drawn anew, tile by
            tile, for finer edges: 0 (off) to 1; 0.1 to 0.2 keeps the content. Each tile costs a small job.
        literal_prompts: whether the syntax of `engine.prompt_syntax`, such as brackets and tags, is ordinary text.
        model: a name that `layerfusion models` lists.

    Raises:
        InvalidRequest: a value has the wrong type or is outside its range.
    """

    size: Size
    background: Source
    foregrounds: tuple[Source, ...]
    blended_prompt: str | None = None
    blended_strength: float | None = None
    seed: int = 0
    steps: int | None = None
    guidance_scale: float | None = None
    guidance_rescale: float | None = None
    sampler: str | None = None
    fusion: FusionSettings | None = None
    harmony: HarmonySettings = field(default_factory=HarmonySettings)
    refine: float = 0.0
    literal_prompts: bool = False
    model: str = "tiny"

    if TYPE_CHECKING:  # the types that the constructor accepts; the attributes have the types above

        def __init__(
            self,
            *,
            size: Size | Sequence[int],
            background: Source | str,
            foregrounds: Source | str | Sequence[Source | str],
            blended_prompt: str | None = None,
            blended_strength: float | None = None,
            seed: int = 0,
            steps: int | None = None,
            guidance_scale: float | None = None,
            guidance_rescale: float | None = None,
            sampler: str | None = None,
            fusion: FusionSettings | None = None,
            harmony: HarmonySettings | HarmonyMode = HarmonySettings(),  # noqa: B008
            refine: float = 0.0,
            literal_prompts: bool = False,
            model: str = "tiny",
        ) -> None: ...

    def __post_init__(self) -> None:
        values = {
            "size": Size.of(self.size, "canvas"),
            "background": as_source(self.background, "background", Role.BACKGROUND),
            "foregrounds": _foregrounds(self.foregrounds),
            "harmony": _harmony(self.harmony),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        check_canvas(self.size)
        self._check_boxes()
        self._check_places()
        if self.blended_prompt is not None:
            check_prompt("blended prompt", self.blended_prompt)
        check_whole("seed", self.seed, low=0, high=MAX_SEED)
        if self.steps is not None:
            check_whole("number of steps", self.steps, low=1, high=MAX_STEPS)
        if self.guidance_scale is not None:
            check_number("guidance scale", self.guidance_scale, low=1, high=30)
        if self.guidance_rescale is not None:
            check_number("guidance rescale", self.guidance_rescale, low=0, high=1)
        if self.sampler is not None:
            check_text("sampler", self.sampler, "Name one that “layerfusion models” lists.")
        if not isinstance(self.fusion, FusionSettings | None):
            raise InvalidRequest(f"The fusion settings are {said(self.fusion)}.", "Give FusionSettings, or None.")
        if not isinstance(self.harmony, HarmonySettings):
            raise InvalidRequest(f"The harmony is {said(self.harmony)}.", "Give HarmonySettings, “clean” or “exact”.")
        check_text("model", self.model, "Name one that “layerfusion models” lists.")
        if not isinstance(self.literal_prompts, bool):
            raise InvalidRequest(f"literal_prompts is {said(self.literal_prompts)}.", "Give True or False.")
        check_number("strength of the refinement", self.refine, low=0, high=1)
        if self.blended_strength is not None:
            check_number("strength of the blended picture", self.blended_strength, low=0, high=1)
            if self.blended_strength < 1 and not self.composable:
                raise InvalidRequest(
                    f"The strength of the blended picture is {self.blended_strength:g}, and a layer is to be drawn.",
                    "Leave it out, or keep every layer: the blended picture then starts from them.",
                )

    def _check_boxes(self) -> None:
        if isinstance(self.background, Generated) and self.background.box is not None:
            raise InvalidRequest(
                f"The background has the box {self.background.box}.", "Leave it out: a background fills the canvas."
            )
        for place, source in enumerate(self.foregrounds, start=1):
            box = source.box if isinstance(source, Generated) else None
            if box is not None and not box.lies_in(self.size):
                raise InvalidRequest(
                    f"The box {box} of foreground {place} reaches beyond the canvas, which is {self.size}.",
                    "Choose a box inside the canvas.",
                )

    def _check_places(self) -> None:
        for source in self.sources:
            if isinstance(source, Existing) and not visible_part(source.layer, self.size).any():
                layer, (x, y) = source.layer, source.layer.offset
                raise InvalidRequest(
                    f"Nothing of the layer “{layer.name}” lies on the canvas: it is {layer.size} at {x},{y}, and the "
                    f"canvas is {self.size}.",
                    "Move the layer onto the canvas, or leave it out.",
                )

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources in the order of `Streams`: the foregrounds, bottom first, then the background."""
        return (*self.foregrounds, self.background)

    @property
    def composable(self) -> bool:
        """Whether every layer is kept or relit, so that their composite is known before anything is drawn."""
        return all(isinstance(source, Existing) for source in self.sources)

    @property
    def background_seed(self) -> int:
        """The seed of the background's noise. The blended stream always starts from the same noise."""
        seed = None if isinstance(self.background, Kept) else self.background.seed
        return self.seed if seed is None else seed

    def foreground_seed(self, index: int, init_noise: InitNoise) -> int:
        """The seed of foreground `index` (0 … K-1).

        The source's own seed, if it has one. Otherwise the first foreground takes the background's seed if
        `init_noise` is "shared"; every other one derives a seed from the job's seed and its index, so that no two
        streams start from the same noise by accident.
        """
        source = self.foregrounds[index]
        if not isinstance(source, Kept) and source.seed is not None:
            return source.seed
        if index == 0 and init_noise == "shared":
            return self.background_seed
        digest = hashlib.sha256(f"layerfusion:{self.seed}:{index}".encode()).digest()
        return int.from_bytes(digest[:6], "big")


def visible_part(layer: Layer, canvas: Size) -> NDArray[np.bool_]:
    """Which pixels of the canvas a layer covers at least a little: (rows, columns) of those it reaches at all."""
    x, y = layer.offset
    rows, columns = slice(max(-y, 0), max(canvas.height - y, 0)), slice(max(-x, 0), max(canvas.width - x, 0))
    return layer.pixels[rows, columns, 3] > 0


def as_source(given: object, name: str, role: Role) -> Source:
    """Return a source unchanged, or make a `Generated` of a text.

    Args:
        given: a source or a text.
        name: the field's name in error messages.
        role: the role that a kept or relit layer gets.

    Raises:
        InvalidRequest: `given` is neither, or the text is not a valid prompt.
    """
    if isinstance(given, str):
        check_prompt(f"prompt of the {name}", given)
        return Generated(prompt=given)
    if isinstance(given, Generated):
        return given
    if isinstance(given, (Kept, Relit)):
        return given if given.layer.role is role else replace(given, layer=replace(given.layer, role=role))
    if isinstance(given, (Layer, Image.Image)):
        remedy = 'Say what it shows: Kept(picture, "a red apple"), or Relit.'
    else:
        remedy = "Give a prompt, or a Generated, Kept or Relit."
    raise InvalidRequest(f"The {name} is {said(given)}.", remedy)


def _harmony(given: Any) -> Any:
    """Make settings of a mode's name; anything else is returned unchanged."""
    return HarmonySettings(mode=cast(HarmonyMode, given)) if isinstance(given, str) else given


def _foregrounds(given: object) -> tuple[Source, ...]:
    """One source, or a tuple or list of them, bottom first."""
    several = cast(Sequence[object], given) if isinstance(given, (tuple, list)) else (given,)
    if not 1 <= len(several) <= MAX_FOREGROUNDS:
        raise InvalidRequest(f"The request has {len(several)} foregrounds.", f"Ask for 1 to {MAX_FOREGROUNDS}.")
    names = ["foreground"] if len(several) == 1 else [f"foreground {number}" for number in range(1, len(several) + 1)]
    return tuple(as_source(one, name, Role.FOREGROUND) for one, name in zip(several, names, strict=True))
