"""The public Python interface: what `import layerfusion` offers, in the manner of diffusers.

    pipe = LayerFusion.from_pretrained("tiny")
    stack = pipe("a red apple", background="a beach", seed=3, size=(512, 512))

Every call here builds a `GenerationRequest` and gives it to a `LayerFusionPipeline`. torch is imported only when the
first picture is drawn or a device is named.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypedDict, Unpack

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.events import Event, Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.importing import paused_collection
from layerfusion.engine.models.catalog.pretrained import find_pretrained
from layerfusion.engine.models.catalog.samplers import SAMPLERS, sampler_key
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.notices import Notice
from layerfusion.engine.options.checks import check_choice, said
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonyMode, HarmonySettings
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Existing, Generated, Source
from layerfusion.engine.stack import LayerStack

if TYPE_CHECKING:
    import torch

    from layerfusion.engine.pipeline import LayerFusionPipeline

MEMORY_POLICIES = ("auto", "resident", "offload", "sequential")
"""The names of the memory policies in `engine.models.runtime.offloading`. That module is not imported here because it
imports torch."""

SourceLike: TypeAlias = str | Source
"""A prompt, or a `Generated`, `Kept` or `Relit`."""


class Options(TypedDict, total=False):
    """The keyword arguments of `LayerFusion.__call__`, which explains them."""

    size: Size | tuple[int, int] | None
    seed: int
    negative_prompt: str
    blended_prompt: str | None
    blended_strength: float | None
    steps: int | None
    guidance_scale: float | None
    guidance_rescale: float | None
    sampler: str | None
    preset: Preset | None
    fusion: FusionSettings | Mapping[str, Any] | None
    harmony: HarmonySettings | HarmonyMode
    refine: float
    literal_prompts: bool


class NoticeWarning(UserWarning):
    """The warning that `LayerFusion.__call__` issues for every `Notice`, because it returns no events."""


class LayerFusion:
    """LayerFusion with one model. Make one with `from_pretrained`.

    The weights are read when the first picture is drawn, and stay in memory.

    Args:
        spec: which model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._device: torch.device | None = None
        self._memory = MEMORY_POLICIES[0]
        self._pipeline: LayerFusionPipeline | None = None

    @classmethod
    def from_pretrained(
        cls, model: str | os.PathLike[str], *, device: str | torch.device | None = None, memory: str = "auto"
    ) -> Self:
        """Choose a model that is on this machine. Nothing is downloaded.

        Args:
            model: a name that `layerfusion models` lists, such as "tiny"; a path of a manifest (`model.json`), of a
                folder in diffusers layout or of a `.safetensors` checkpoint; or "owner/name" of a model at Hugging
                Face that is in the local cache.
            device: the torch device, such as "cuda", "mps" or "cpu"; None takes the fastest device of this machine.
            memory: how much of the model is on the device at a time: "resident", "offload" or "sequential"; "auto"
                takes the fastest of the three that fits, and decides again for each picture.

        Raises:
            InvalidRequest: a value has the wrong type, or the device or the memory policy does not exist.
            UnknownModel: there is no model of that name.
            BrokenModel: the path or a part of the model is missing or is not a model; the hint says how to get it.
        """
        pipe = cls(find_pretrained(model))
        check_choice("memory policy", memory, MEMORY_POLICIES)
        pipe._memory = memory
        return pipe if device is None else pipe.to(device)

    def to(self, device: str | torch.device) -> Self:
        """Compute on `device` from now on. If it is another device, the weights are read again for the next picture.

        Raises:
            InvalidRequest: `device` is not a torch device, or this machine does not have it.
        """
        chosen = _device(device)
        if chosen != self._device:
            self._device, self._pipeline = chosen, None
        return self

    def __call__(
        self,
        foregrounds: SourceLike | Sequence[SourceLike] | GenerationRequest,
        background: SourceLike | None = None,
        **options: Unpack[Options],
    ) -> LayerStack:
        """Draw a picture in layers.

        The same arguments give the same bytes on the same machine. What the user must know to judge the picture, such
        as words that the model was not trained on, is issued as a `NoticeWarning`.

        Args:
            foregrounds: the foregrounds, 1 to 6, bottom first: a prompt, a `Generated`, `Kept` or `Relit`, or a list of
                those. Alternatively a complete `GenerationRequest` without any other argument; its `model` is ignored.
            background: the background: a prompt or a source.
            size: the canvas, (width, height) in pixels, 64-4096 a side, at most 4:1. None takes the size of a kept or
                relit layer, of the background if it is one; without such a layer, a square of the size the model was
                trained at, but at least 512 px a side.
            seed: 0 to 2^53-1, 0 by default; another seed gives another picture.
            negative_prompt: what to avoid in every layer that is given as a plain prompt.
            blended_prompt: what the whole picture shows; None makes it from the other prompts.
            blended_strength: how much of the blended picture is drawn anew if every layer is kept or relit, 0-1.
            steps: denoising steps, 1-150; None takes the model's default.
            guidance_scale: how closely to follow the prompts, 1 (off) to 30; None takes the model's default.
            guidance_rescale: 0 (off) to 1; None takes the model's default.
            sampler: a name that `layerfusion models` lists, such as "euler" or "Euler a"; None takes the model's
                default.
            preset: "paper", "exact", "balanced" or "fast"; None takes the model's own settings.
            fusion: complete `FusionSettings`; or a mapping from option name to value, which is applied to the model's
                own settings after the preset.
            harmony: how Shadow and Light are made: "clean" (default) or "exact".
            refine: on a canvas larger than the model's working size, how much is drawn anew in tiles, 0 (off) to 1.
            literal_prompts: whether brackets, tags and other syntax in prompts are ordinary text; False by default.

        Raises:
            InvalidRequest: a value has the wrong type or is outside its range. Nothing was drawn.
            BrokenModel: the weights cannot be read.
            OutOfMemory: the picture does not fit into memory, even with the policy that uses the least.
        """
        request = self._request(foregrounds, background, options)
        with closing(self._drawing(request)) as events:
            for event in events:
                if isinstance(event, Notice):
                    warnings.warn(event.text, NoticeWarning, stacklevel=2)
                if isinstance(event, Finished):
                    return event.stack
        raise AssertionError("the pipeline ended without a stack")

    def stream(
        self,
        foregrounds: SourceLike | Sequence[SourceLike] | GenerationRequest,
        background: SourceLike | None = None,
        **options: Unpack[Options],
    ) -> Generator[Event, None, None]:
        """Draw a picture and yield events while it is made. Arguments and errors are those of `__call__`.

        Closing the iterator cancels the job between two steps. Invalid values raise before anything is drawn.

        Yields:
            Notice, Progress, Preview, LayerReady for every layer as soon as it is done, and Finished with the stack.
        """
        return self._drawing(self._request(foregrounds, background, options))

    def _drawing(self, request: GenerationRequest) -> Generator[Event, None, None]:
        if self._pipeline is None:
            with paused_collection():
                from layerfusion.engine.models.runtime.offloading import memory_policy
                from layerfusion.engine.pipeline import LayerFusionPipeline

            self._pipeline = LayerFusionPipeline(self.spec, self._device, memory_policy(self._memory))
        return self._pipeline.generate(request)

    def _request(self, foregrounds: Any, background: Any, options: Options) -> GenerationRequest:
        """The request that the arguments of `__call__` describe."""
        if isinstance(foregrounds, GenerationRequest):
            if background is not None or options:
                raise InvalidRequest("Other values are given beside a whole request.", "Give the request alone.")
            return foregrounds
        values: dict[str, Any] = dict(options)
        unknown = next((name for name in values if name not in Options.__annotations__), None)
        if unknown is not None:
            raise InvalidRequest(
                f"There is no option {said(unknown, str)}.", f"The options are: {', '.join(Options.__annotations__)}."
            )
        negative = values.pop("negative_prompt", "")
        several = foregrounds if isinstance(foregrounds, (tuple, list)) else (foregrounds,)
        sources = [_drawn(source, negative) for source in (*several, background)]
        if values.get("size") is None:
            values["size"] = self._default_size(sources)
        values["fusion"] = self._fusion(values.pop("preset", None), values.get("fusion"))
        values["sampler"] = _sampler(values.get("sampler"))
        return GenerationRequest(
            foregrounds=tuple(sources[:-1]), background=sources[-1], model=self.spec.name, **values
        )

    def _default_size(self, sources: Sequence[Any]) -> Size:
        existing = [source for source in (sources[-1], *sources[:-1]) if isinstance(source, Existing)]
        side = max(512, self.spec.native_size)
        return existing[0].layer.size if existing else Size(side, side)

    def _fusion(self, preset: Any, fusion: Any) -> FusionSettings | None:
        """The settings of the request; None takes the model's own."""
        if preset is None and fusion is None:
            return None
        settings = fusion if isinstance(fusion, FusionSettings) else self.spec.defaults.fusion
        if preset is not None:
            settings = settings.preset(preset)
        if fusion is None or isinstance(fusion, FusionSettings):
            return settings
        if not isinstance(fusion, Mapping):
            raise InvalidRequest(
                f"The fusion settings are {said(fusion)}.", "Give FusionSettings, or a dict of some of them by name."
            )
        return settings.changed(fusion)

    def __repr__(self) -> str:
        where = "the best device there is" if self._device is None else str(self._device)
        return f"<LayerFusion {self.spec.name!r} on {where}>"


def _drawn(source: Any, negative: str) -> Any:
    """Make a `Generated` of a plain prompt. Anything else is returned unchanged; the request validates it."""
    return Generated(source, negative_prompt=negative) if isinstance(source, str) else source


def _sampler(name: Any) -> Any:
    """The key of a sampler, given its key or its display name. None and other types are returned unchanged.

    Raises:
        InvalidRequest: a text that names no sampler.
    """
    if not isinstance(name, str):
        return name  # None is valid; the request refuses other types
    key = sampler_key(name)
    if key is None:
        raise InvalidRequest(f"The sampler is {said(name, str)}.", f"Choose one of: {', '.join(SAMPLERS)}.")
    return key


def _device(device: Any) -> torch.device:
    import torch

    if not isinstance(device, (str, torch.device)):
        raise InvalidRequest(f"The device is {said(device)}.", "Give “cuda”, “mps” or “cpu”.")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise InvalidRequest(f"The device is {said(device, str)}.", "Give “cuda”, “mps” or “cpu”.") from None
    there = {"cpu": 1, "mps": int(torch.backends.mps.is_available()), "cuda": torch.cuda.device_count()}
    if (chosen.index or 0) >= there.get(chosen.type, 0):
        here = ", ".join(name for name, count in there.items() if count)
        raise InvalidRequest(f"This machine has no device “{chosen}” for torch.", f"Choose one of: {here}.")
    return chosen
