"""The description of a model without its weights: where its files are, its defaults, and what the user should know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.image.geometry import Box, Framing, Size, draft_size, working_size
from layerfusion.engine.models.catalog.samplers import SAMPLERS, check_sampler
from layerfusion.engine.models.catalog.schedules import Prediction
from layerfusion.engine.models.catalog.vocabulary import hint
from layerfusion.engine.models.catalog.weight_source import WeightSource
from layerfusion.engine.notices import Notice, sentence
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.request import MAX_STEPS

FewSteps = Literal["lightning", "hyper", "lcm"]
"""Kinds of distilled models and LoRAs that draw in 4 to 8 steps without classifier-free guidance."""

Precision = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class ModelDefaults:
    """The values that a request gets if it leaves them out; they are tuned for the model.

    Raises:
        ValueError: the number of steps is out of range, or the sampler is unknown.
    """

    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str
    fusion: FusionSettings = field(default_factory=FusionSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps is {self.steps}; it must be 1 to {MAX_STEPS}")
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler is “{self.sampler}”; it must be one of {', '.join(SAMPLERS)}")


@dataclass(frozen=True, kw_only=True)
class TransparencySpec:
    """Where a model's transparency parts are, and the conventions with which they were trained.

    Attributes:
        kind: the networks' architecture: "layerdiffuse" is the published one, "compact" the embedded model's.
        deltas: safetensors file with the deltas of the foreground rows, in any published form.
        encoder, decoder: safetensors files with the transparent encoder and decoder; may be the same file.
        decoder_latent: which latents the transparent decoder gets: "scaled" (the UNet's), "unscaled" (the VAE's, as in
            the authors' code for the published decoder; some other programs scale them), or "zero" (zeros).
        stride: number of pixels of which both sides of the decoder's input must be multiples.
        offset_factor: factor by which the encoder's offset is multiplied. The published encoder was trained with 300;
            without it the offset is close to zero.
        views: number of rotated and mirrored views of a foreground that are decoded, 1 or 8.
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
    """A LoRA of the artist's, which acts on all streams.

    Attributes:
        file: safetensors file with kohya's or diffusers' keys.
        weight: factor of the weight change, -4 to 4; 1 is its strength in training.

    Raises:
        ValueError: the weight is out of range.
    """

    file: WeightSource
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not -4 <= self.weight <= 4:
            raise ValueError(f"the weight of the LoRA {self.file} is {self.weight}; it must be -4 to 4")


@dataclass(frozen=True, kw_only=True)
class FewStepAdapter:
    """A LoRA with which an ordinary model draws in a few steps, when a request asks for it (`few_steps`).

    Attributes:
        lora: its file and weight.
        steps, guidance_scale, guidance_rescale, sampler: what a request with it gets where it leaves them out.
    """

    lora: LoraSpec
    steps: int
    guidance_scale: float
    guidance_rescale: float
    sampler: str


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model, as its manifest describes it.

    Attributes:
        name: its name in requests.
        title: its name for people.
        checkpoint: the base model: a folder in diffusers layout, or a single safetensors file with LDM names.
        transparency: the parts that make foregrounds transparent.
        configs: folder in diffusers layout with the network configurations of a single-file checkpoint; None means
            SDXL's.
        unet: a UNet to use in place of the checkpoint's, as a folder or a single file; None uses the checkpoint's. The
            noise schedule is then what this file says.
        vae: a VAE to use in place of the checkpoint's, as a folder or a single file; None uses the checkpoint's.
        loras: LoRAs, in the order in which they are added.
        network_folders: folders in which LoRAs and textual inversions that prompts name are looked for, besides
            LayerFusion's own.
        few_steps: the kind of few-step distillation of the checkpoint or of one of its LoRAs; None for an ordinary
            model.
        few_step_adapter: with what it draws in few steps if a request asks for it; None if it has nothing for it.
        precision: dtype of the weights; "auto" chooses by the device.
        prediction: what the network predicts, if its files do not say it; None takes it from them.
        zero_snr: whether it was trained to begin at pure noise (zero terminal signal-to-noise ratio), likewise.
        native_size: side of the square training images in pixels; the model draws images of about this size squared.
        native_aspect: up to this ratio of the sides, it draws longer images with `native_size` as their shorter side,
            see `working_size`.
        stride: number of pixels of which both working sides must be multiples.
        demo: True for the embedded demonstration model.
        blended_template: template of the blended prompt, with `{foregrounds}` and `{background}`.
        defaults: the values that a request gets if it leaves them out.
        samplers: names of suitable samplers.
        examples: pairs of (foreground prompt, background prompt) that it draws well.
        vocabulary: kind -> known phrases, for a model with a limited vocabulary; otherwise empty.
        related: phrase of the vocabulary -> unknown words, separated by spaces, for which the phrase is a substitute.
        about: texts for the user about the model's data, licence, abilities and limits.
    """

    name: str
    title: str
    checkpoint: WeightSource
    transparency: TransparencySpec
    configs: WeightSource | None = None
    unet: WeightSource | None = None
    vae: WeightSource | None = None
    loras: tuple[LoraSpec, ...] = ()
    network_folders: tuple[Path, ...] = ()
    few_steps: FewSteps | None = None
    few_step_adapter: FewStepAdapter | None = None
    precision: Precision = "auto"
    prediction: Prediction | None = None
    zero_snr: bool | None = None
    native_size: int
    native_aspect: float = 1.0
    stride: int
    demo: bool
    blended_template: str
    defaults: ModelDefaults
    samplers: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    vocabulary: dict[str, tuple[str, ...]]
    related: dict[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()

    def framing(self, canvas: Size) -> Framing:
        """At which size the model draws a canvas, see `working_size`."""
        area, aspect = self.native_size**2, self.native_aspect
        return working_size(canvas, stride=self.stride, native_area=area, native_aspect=aspect)

    def draft_size(self, box: Box) -> Size:
        """At which size the model draws an object for a box, see `geometry.draft_size`."""
        area, aspect = self.native_size**2, self.native_aspect
        return draft_size(box, stride=self.stride, native_area=area, native_aspect=aspect)

    @property
    def folder(self) -> Path:
        """The checkpoint's folder in diffusers layout.

        Raises:
            BrokenModel: it is missing, or the checkpoint is a single file.
        """
        folder = located(self.checkpoint, self.name)
        if not folder.is_dir():
            raise BrokenModel(f"{folder} is no folder in diffusers layout.", "Give the model's folder.")
        return folder

    def notices(self, size: Size, prompts: Iterable[str] = ()) -> tuple[Notice, ...]:
        """The limits of the embedded model that the user should know for a request; none for other models.

        Args:
            size: the canvas.
            prompts: all prompts of the request; a notice names words that the model does not know.
        """
        if not self.demo:
            return ()
        working = self.framing(size).working
        limits = sentence("demo_size_enlarged" if working.area < size.area else "demo_size", size=working)
        unknown = hint(self.vocabulary, self.related, prompts)
        return (
            Notice(code="demo_model", sentences=(limits,)),
            *([Notice(code="unknown_words", sentences=unknown)] if unknown else []),
        )

    @property
    def usual(self) -> ModelDefaults:
        """The defaults of a request that says nothing: the few-step adapter's, if the model draws with it by itself."""
        return self.defaults_with(self.defaults.fusion)

    def adapter_for(self, fusion: FusionSettings) -> FewStepAdapter | None:
        """The few-step adapter, if these settings ask for it and there is one."""
        return self.few_step_adapter if fusion.few_steps else None

    def defaults_with(self, fusion: FusionSettings) -> ModelDefaults:
        """The defaults of a request with these settings: those of the few-step adapter, if it takes part."""
        adapter = self.adapter_for(fusion)
        if adapter is None:
            return self.defaults
        return replace(
            self.defaults,
            steps=adapter.steps,
            guidance_scale=adapter.guidance_scale,
            guidance_rescale=adapter.guidance_rescale,
            sampler=adapter.sampler,
        )

    def added_networks(self, fusion: FusionSettings) -> tuple[tuple[Path, float], ...]:
        """File and strength of the few-step adapter, if these settings ask for it; otherwise nothing.

        Raises:
            BrokenModel: its file is missing.
        """
        adapter = self.adapter_for(fusion)
        return () if adapter is None else ((located(adapter.lora.file, self.name), adapter.lora.weight),)

    def check_sampler(self, name: str) -> str:
        """`check_sampler` for the samplers that suit this model."""
        return check_sampler(name, self.samplers)

    def blended_prompt(self, foregrounds: list[str], background: str) -> str:
        """Make the prompt of the blended picture from those of the layers.

        Args:
            foregrounds: one prompt per foreground, top first.
            background: the background's prompt.
        """
        joined = foregrounds[0] if len(foregrounds) == 1 else ", ".join(foregrounds[:-1]) + " and " + foregrounds[-1]
        return self.blended_template.format(foregrounds=joined, background=background)


def located(source: WeightSource, model: str) -> Path:
    """The path of a part of a model on this machine.

    Args:
        source: where the manifest says that it is.
        model: the model's name, for the error message.

    Raises:
        BrokenModel: it is missing; the hint says how to get it.
    """
    path = source.locate()
    if path is None:
        raise BrokenModel(
            f"The model “{model}” is not complete: {source} is missing.",
            f"Fetch it with “layerfusion models pull {model}”, or see “layerfusion models show {model}”.",
        )
    return path
