"""What the engine knows of a model before a single weight is read: where it is, and what suits it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.events import Notice
from layerfusion.engine.image.geometry import Size, working_size
from layerfusion.engine.models.catalog.vocabulary import hint
from layerfusion.engine.models.catalog.weight_source import WeightSource
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.request import MAX_STEPS

SAMPLERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_karras": "DPM++ 2M Karras",
    "dpmpp_2m_sde_karras": "DPM++ 2M SDE Karras",
    "dpmpp_sde_karras": "DPM++ SDE Karras",
    "unipc": "UniPC",
    "ddim": "DDIM",
    "lcm": "LCM",
}
"""Samplers: what requests call them, and the names artists know; `engine.diffusion.sampling` maps them to solvers."""


def sampler_key(name: str) -> str | None:
    """What requests call a sampler, from that or from the artists' name for it; None if there is none."""
    plain = " ".join(name.casefold().split())
    return next((key for key, title in SAMPLERS.items() if plain in (key, title.casefold())), None)


FewSteps = Literal["lightning", "hyper", "lcm"]
"""Distilled models and LoRAs that draw in 4 to 8 steps without classifier-free guidance."""

Precision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """What a request gets when it leaves a value out. They live with the model, tuned on it.

    Raises:
        ValueError: a number of steps or a sampler that cannot be.
    """

    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str
    fusion: FusionSettings = field(default_factory=FusionSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"{self.steps} steps; 1 to {MAX_STEPS} are possible")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"the sampler “{self.sampler}”; there are {', '.join(SAMPLERS)}")


@dataclass(frozen=True, kw_only=True)
class TransparencySpec:
    """Where a model's LayerDiffuse-style parts are and which conventions they were trained with.

    Attributes:
        kind: the networks' architecture: "layerdiffuse" is the published one, "compact" the embedded model's.
        deltas: safetensors file with the deltas of the foreground rows, in any published form.
        encoder, decoder: safetensors files with the transparent encoder and decoder; the embedded model has both in
            one.
        decoder_latent: which latents the transparent decoder reads: "scaled" (the UNet's), "unscaled" (the VAE's; the
            authors' own way with the published decoder, though some programs scale), or "zero" (none).
        stride: what both sides of the decoder's input must be multiples of, in pixels.
        offset_factor: what the encoder's offset is multiplied with. The published encoder was trained at 300; programs
            that leave it out add next to nothing.
        views: how many turned and mirrored views of a foreground the decoder judges, 1 or 8.
    """

    kind: Literal["compact", "layerdiffuse"]
    deltas: WeightSource
    encoder: WeightSource
    decoder: WeightSource
    decoder_latent: Literal["scaled", "unscaled", "zero"]
    stride: int
    offset_factor: float = 1.0
    views: Literal[1, 8] = 1


@dataclass(frozen=True, kw_only=True)
class LoraSpec:
    """A LoRA of the artist's, in force for all streams.

    Attributes:
        file: safetensors, with kohya's or diffusers' keys.
        weight: -4 to 4; 1 as it was trained.

    Raises:
        ValueError: another weight.
    """

    file: WeightSource
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not -4 <= self.weight <= 4:
            raise ValueError(f"the weight {self.weight} of the LoRA {self.file}; -4 to 4 are possible")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model as the user sees it.

    Attributes:
        name: what requests call it.
        title: what people call it.
        checkpoint: the weights: a folder in diffusers layout, or a single safetensors file as other programs keep it.
        transparency: the parts that make foregrounds transparent.
        configs: folder in diffusers layout whose configurations describe the networks of a single-file checkpoint; None
            is SDXL's.
        vae: another VAE than the checkpoint's own, as a folder or a single file; None keeps its own.
        loras: in the order they are added.
        few_steps: which kind of distillation the checkpoint or one of its LoRAs is; None for an ordinary model.
        precision: of the weights; "auto" takes what the device is good at.
        native_size: the side it was trained at, in pixels; it draws pictures of about this size squared.
        stride: what both working sides must be multiples of, in pixels.
        demo: True for the embedded demonstration model.
        blended_template: how the blended prompt is made of `{foregrounds}` and `{background}`.
        samplers: sampler names that suit it.
        examples: (foreground, background) prompts it draws well.
        vocabulary: what a model of few words knows; empty for a model that knows the world.
        related: a phrase of the vocabulary -> words it does not know but that phrase can stand for, parted by spaces.
        about: what one should know of it, a sentence or two a line: its data, its licence, what it can and cannot do.
    """

    name: str
    title: str
    checkpoint: WeightSource
    transparency: TransparencySpec
    configs: WeightSource | None = None
    vae: WeightSource | None = None
    loras: tuple[LoraSpec, ...] = ()
    few_steps: FewSteps | None = None
    precision: Precision = "auto"
    native_size: int
    stride: int
    demo: bool
    blended_template: str
    defaults: ModelDefaults
    samplers: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    vocabulary: dict[str, tuple[str, ...]]
    related: dict[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()

    @property
    def native_area(self) -> int:
        return self.native_size**2

    @property
    def folder(self) -> Path:
        """The checkpoint's folder in diffusers layout.

        Raises:
            BrokenModel: it is not there, or the checkpoint is a single file.
        """
        folder = located(self.checkpoint, self.name)
        if not folder.is_dir():
            raise BrokenModel(f"{folder} is no folder in diffusers layout.", "Name the model's folder.")
        return folder

    def notices(self, size: Size, prompts: Iterable[str] = ()) -> tuple[Notice, ...]:
        """What the user must know before they judge the picture.

        Args:
            size: of the canvas, in pixels.
            prompts: what is to be drawn; words the model does not know are named.
        """
        if not self.demo:
            return ()
        working = working_size(size, stride=self.stride, native_area=self.native_area).working
        enlarged = ", and the picture is enlarged" if working.area < size.area else ""
        said = f"{self.title[:1].upper()}{self.title[1:]}: it draws at {working} px{enlarged}."
        unknown = hint(self.vocabulary, self.related, prompts)
        return (
            Notice(code="demo_model", text=said),
            *([Notice(code="unknown_words", text=unknown)] if unknown else []),
        )

    def blended_prompt(self, foregrounds: list[str], background: str) -> str:
        """The prompt of the whole picture, made of its parts.

        Args:
            foregrounds: one prompt a foreground, top first.
        """
        joined = foregrounds[0] if len(foregrounds) == 1 else ", ".join(foregrounds[:-1]) + " and " + foregrounds[-1]
        return self.blended_template.format(foregrounds=joined, background=background)


def located(place: WeightSource, model: str) -> Path:
    """Where a part of a model is on this machine.

    Raises:
        BrokenModel: it is not there; the hint says how to get it.
    """
    path = place.locate()
    if path is None:
        raise BrokenModel(
            f"The model “{model}” is not complete: {place} is missing.",
            f"Fetch it with “layerfusion models pull {model}”, or see “layerfusion models show {model}”.",
        )
    return path
