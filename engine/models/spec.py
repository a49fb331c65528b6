"""What the engine knows of a model before a single weight is read: where it is, and what suits it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from engine.errors import BrokenModel
from engine.geometry import Size, working_size
from engine.models.vocabulary import hint
from engine.request import FusionSettings

SAMPLERS = ("euler", "ddim", "dpmpp_2m", "unipc")
"""Samplers by the names artists know; `engine.diffusion.sampling` maps them to solvers."""


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """What a request gets when it leaves a value out. They live with the model, tuned on it."""

    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str
    fusion: FusionSettings = field(default_factory=FusionSettings)


@dataclass(frozen=True, kw_only=True)
class TransparencySpec:
    """Where a model's LayerDiffuse-style parts are and which conventions they were trained with.

    Attributes:
        deltas: safetensors file with the low-rank deltas of the foreground rows.
        weights: safetensors file with the transparent encoder and decoder.
        kind: the networks' architecture: "compact" is the embedded model's, "layerdiffuse" the published one.
        decoder_latent: which latents the transparent decoder reads: "scaled" (the UNet's), "unscaled" (the VAE's; the
            authors' own way with the published decoder, though some programs scale), or "zero" (none).
        stride: what both sides of the decoder's input must be multiples of, in pixels.
        offset_factor: what the encoder's offset is multiplied with. The published encoder was trained at 300; programs
            that leave it out add next to nothing.
        views: how many turned and mirrored views of a foreground the decoder judges, 1 or 8.
    """

    deltas: str
    weights: str
    kind: Literal["compact", "layerdiffuse"]
    decoder_latent: Literal["scaled", "unscaled", "zero"]
    stride: int
    offset_factor: float = 1.0
    views: Literal[1, 8] = 1

    @staticmethod
    def published(deltas: str, weights: str) -> TransparencySpec:
        """LayerDiffuse's SDXL files with the conventions of their authors' own code."""
        return TransparencySpec(
            deltas=deltas,
            weights=weights,
            kind="layerdiffuse",
            decoder_latent="unscaled",
            stride=64,
            offset_factor=300.0,
            views=8,
        )


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model as the user sees it.

    Attributes:
        name: what requests call it.
        title: what people call it.
        folder: the weights, in diffusers layout.
        native_size: the side it was trained at, in pixels; it draws pictures of about this size squared.
        stride: what both working sides must be multiples of, in pixels.
        demo: True for the embedded demonstration model.
        blended_template: how the blended prompt is made of `{foregrounds}` and `{background}`.
        samplers: sampler names that suit it.
        examples: (foreground, background) prompts it draws well.
        vocabulary: what a model of few words knows; empty for a model that knows the world.
        related: a phrase of the vocabulary -> words it does not know but that phrase can stand for, parted by spaces.
    """

    name: str
    title: str
    folder: Path
    native_size: int
    stride: int
    demo: bool
    blended_template: str
    transparency: TransparencySpec
    defaults: ModelDefaults
    samplers: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    vocabulary: dict[str, tuple[str, ...]]
    related: dict[str, str] = field(default_factory=dict)

    @property
    def native_area(self) -> int:
        return self.native_size**2

    def notice(self, size: Size, prompts: Iterable[str] = ()) -> str:
        """What the user must know before they judge the picture; empty if there is nothing to say.

        Args:
            prompts: what is to be drawn; words the model does not know are named.
        """
        if not self.demo:
            return ""
        working = working_size(size, stride=self.stride, native_area=self.native_area).working
        enlarged = " and enlarged" if working.area < size.area else ""
        unknown = hint(self.vocabulary, self.related, prompts)
        return f"{self.title}, drawn at {working} px{enlarged}{'. ' if unknown else ''}{unknown}"

    def blended_prompt(self, foregrounds: list[str], background: str) -> str:
        """The prompt of the whole picture, made of its parts.

        Args:
            foregrounds: one prompt a foreground, top first.
        """
        joined = foregrounds[0] if len(foregrounds) == 1 else ", ".join(foregrounds[:-1]) + " and " + foregrounds[-1]
        return self.blended_template.format(foregrounds=joined, background=background)

    @staticmethod
    def read(card: Path) -> ModelSpec:
        """Read a model card (JSON). The weights lie in the folder `weights` beside it.

        Raises:
            BrokenModel: the card is missing, no JSON, or lacks a value.
        """
        try:
            values: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
            defaults = values.pop("defaults")
            return ModelSpec(
                name=values["name"],
                title=values["title"],
                folder=card.parent / "weights",
                native_size=values["native_size"],
                stride=values["stride"],
                demo=values["demo"],
                blended_template=values["blended_template"],
                transparency=TransparencySpec(**values["transparency"]),
                defaults=ModelDefaults(**{**defaults, "fusion": FusionSettings(**defaults["fusion"])}),
                samplers=tuple(values["samplers"]),
                examples=tuple((foreground, background) for foreground, background in values["examples"]),
                vocabulary={kind: tuple(words) for kind, words in values["vocabulary"].items()},
                related=dict(values.get("related", {})),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenModel(
                f"The model card {card} cannot be read ({error}).", "Install the package again, or mend the card."
            ) from error
