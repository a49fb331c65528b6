"""Everything that can be asked for: one `GenerationRequest`, complete and validated when it is made."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from engine.errors import InvalidRequest
from engine.geometry import Size, check_canvas
from engine.layers import Layer

MAX_PROMPT = 2000
MAX_SEED = 2**53 - 1
MAX_STEPS = 150
MAX_FOREGROUNDS = 6

Heads = Literal["stat_mean", "map_mean"]
Prior = Literal["per_step", "lagged"]
ContentSource = Literal["prior", "live"]
HarmonyMode = Literal["clean", "exact"]
InitNoise = Literal["shared", "independent"]
ForegroundUpdate = Literal["hard", "none"]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A layer drawn from a prompt.

    Attributes:
        prompt: what to draw, 1-2000 characters.
        negative_prompt: what to avoid; may be empty.
        seed: 0 to 2^53-1; None takes it from the job's, see `GenerationRequest.foreground_seed`.
    """

    prompt: str
    negative_prompt: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        _check_prompt("prompt", self.prompt)
        _check_prompt("negative prompt", self.negative_prompt, may_be_empty=True)
        _check_seed(self.seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """A layer the artist has already: it guides the others and comes back byte for byte.

    Attributes:
        layer: its pixels, placed on the canvas.
        prompt: what it shows, in a few words; the blended picture and the masks need to know.
    """

    layer: Layer
    prompt: str

    def __post_init__(self) -> None:
        _check_prompt("prompt of the kept layer", self.prompt)


Source = Generated | Kept


@dataclass(frozen=True, kw_only=True)
class FusionSettings:
    """How the streams are coupled: the switches of LayerFusion.

    Attributes:
        decision_boundary: d of m = sigmoid(d (u - 0.5)); low leaks, high gives a crisper alpha (paper Fig. 5d). > 0.
        prior: where the structure prior comes from. "per_step": a pass of its own before every step (paper Fig. 2);
            "lagged": what the previous step's joint pass recorded, one pass only before the first step.
        content_source: where the content confidence comes from. "prior": the prior pass; "live": the running block.
        structure_layers: the structure prior is the mean over this many of the last executed self-attentions, 1-8.
        heads: "stat_mean": participation ratio per head, then the mean; "map_mean": of the head-averaged map.
        contrast_gate: ρ of κ = clip((max - min) / (ρ mean), 0, 1): maps flatter than this are no mask. >= 0; 0 is off.
        share_strength: λ of background attention sharing; 0 none, 1 the two streams count equally.
        foreground_update: "hard": the foreground takes the blended stream's activations where the hard mask is set;
            "none": the foreground is drawn as if alone.
        init_noise: "shared": the first foreground starts from the background's noise; "independent": from its own.
        blend_start: coupling begins at this fraction of the training time T, 1 = from the first step.
        smallest_grid: token grids with a side below this are not coupled.
    """

    decision_boundary: float = 10.0
    prior: Prior = "per_step"
    content_source: ContentSource = "live"
    structure_layers: int = 1
    heads: Heads = "stat_mean"
    contrast_gate: float = 0.5
    share_strength: float = 1.0
    foreground_update: ForegroundUpdate = "hard"
    init_noise: InitNoise = "shared"
    blend_start: float = 1.0
    smallest_grid: int = 8

    def __post_init__(self) -> None:
        _check_number("decision boundary", self.decision_boundary, low=0.01, high=1000)
        _check_number("contrast gate", self.contrast_gate, low=0, high=100)
        _check_number("share strength", self.share_strength, low=0, high=1)
        _check_number("blend start", self.blend_start, low=0, high=1)
        _check_whole("number of structure layers", self.structure_layers, low=1, high=8)
        _check_whole("smallest grid", self.smallest_grid, low=1, high=512)
        for name, kind in (
            ("prior", Prior),
            ("content_source", ContentSource),
            ("heads", Heads),
            ("foreground_update", ForegroundUpdate),
            ("init_noise", InitNoise),
        ):
            _check_choice(name.replace("_", " "), getattr(self, name), get_args(kind))


@dataclass(frozen=True, kw_only=True)
class HarmonySettings:
    """How Shadow and Light are made from the blended picture.

    Attributes:
        mode: "clean": soft and free of ghosts, goes with the picture when it is moved; "exact": Background, Foreground,
            Shadow and Light composite to Blended within 1/255, valid for this arrangement only.
    """

    mode: HarmonyMode = "clean"

    def __post_init__(self) -> None:
        _check_choice("harmony mode", self.mode, get_args(HarmonyMode))


@dataclass(frozen=True, kw_only=True, eq=False)
class GenerationRequest:
    """One job. Values left None come from the model's own defaults.

    Attributes:
        size: the canvas, 64-4096 px a side, at most 4:1.
        background: where the background comes from.
        foregrounds: where the foregrounds come from, bottom first, 1-6.
        blended_prompt: what the whole picture shows; None makes it from the other prompts.
        seed: the job's seed, 0 to 2^53-1; layers without one of their own derive theirs from it.
        steps: denoising steps, 1-150.
        guidance_scale: classifier-free guidance, 1 (off) to 30.
        guidance_rescale: 0 (off) to 1.
        sampler: a name `layerfusion models` lists.
        fusion: how the streams are coupled.
        harmony: how Shadow and Light are made.
        model: a name `layerfusion models` lists.

    Raises:
        InvalidRequest: any value outside its range.
    """

    size: Size
    background: Source
    foregrounds: tuple[Source, ...]
    blended_prompt: str | None = None
    seed: int = 0
    steps: int | None = None
    guidance_scale: float | None = None
    guidance_rescale: float | None = None
    sampler: str | None = None
    fusion: FusionSettings | None = None
    harmony: HarmonySettings = field(default_factory=HarmonySettings)
    model: str = "tiny"

    def __post_init__(self) -> None:
        check_canvas(self.size)
        if not 1 <= len(self.foregrounds) <= MAX_FOREGROUNDS:
            raise InvalidRequest(f"{len(self.foregrounds)} foregrounds.", f"Ask for 1 to {MAX_FOREGROUNDS}.")
        if isinstance(self.background, Kept):
            raise InvalidRequest(
                "The background is a kept layer.", "Only foregrounds can be kept; draw the background."
            )
        if self.blended_prompt is not None:
            _check_prompt("blended prompt", self.blended_prompt)
        if self.seed is None:
            raise InvalidRequest("A job without a seed.", f"Choose a whole number from 0 to {MAX_SEED}.")
        _check_seed(self.seed)
        if self.steps is not None:
            _check_whole("number of steps", self.steps, low=1, high=MAX_STEPS)
        if self.guidance_scale is not None:
            _check_number("guidance scale", self.guidance_scale, low=1, high=30)
        if self.guidance_rescale is not None:
            _check_number("guidance rescale", self.guidance_rescale, low=0, high=1)

    @property
    def background_seed(self) -> int:
        """The seed of the background's noise, which the blended stream always shares."""
        seed = self.background.seed if isinstance(self.background, Generated) else None
        return self.seed if seed is None else seed

    def foreground_seed(self, index: int, init_noise: InitNoise) -> int:
        """The seed of foreground `index` (0 … K-1).

        Its own if it has one; else the first takes the background's (shared noise) and the others derive theirs from
        the job's seed and their place, so that no two streams draw the same noise by accident.
        """
        source = self.foregrounds[index]
        if isinstance(source, Generated) and source.seed is not None:
            return source.seed
        if index == 0 and init_noise == "shared":
            return self.background_seed
        digest = hashlib.sha256(f"layerfusion:{self.seed}:{index}".encode()).digest()
        return int.from_bytes(digest[:6], "big")


def _check_prompt(name: str, value: str, *, may_be_empty: bool = False) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(f"The {name} is {type(value).__name__}, not text.", "Describe it in words.")
    if not value.strip() and not may_be_empty:
        raise InvalidRequest(f"The {name} is empty.", "Say in a few words what to draw, for example “a red apple”.")
    if len(value) > MAX_PROMPT:
        raise InvalidRequest(f"The {name} has {len(value)} characters.", f"Use at most {MAX_PROMPT}.")


def _check_seed(value: int | None) -> None:
    if value is not None:
        _check_whole("seed", value, low=0, high=MAX_SEED)


def _check_whole(name: str, value: object, *, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(f"The {name} is {value!r}.", f"Choose a whole number from {low} to {high}.")


def _check_number(name: str, value: object, *, low: float, high: float) -> None:
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise InvalidRequest(f"The {name} is {value!r}.", f"Choose a number from {low:g} to {high:g}.")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidRequest(f"The {name} is {value!r}.", f"Choose one of: {', '.join(choices)}.")
