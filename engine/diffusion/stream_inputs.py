"""What each stream is told and which noise it starts from, in the order of `Streams`."""

from __future__ import annotations

from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.fusion import InitNoise
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Kept


def positive_prompts(request: GenerationRequest, spec: ModelSpec) -> list[str]:
    """One a stream; the blended one's is made of the others' unless it was asked for."""
    foregrounds = [source.prompt for source in request.foregrounds]
    background = request.background.prompt
    whole = request.blended_prompt or spec.blended_prompt(foregrounds[::-1], background)
    return [*foregrounds, background, whole]


def negative_prompts(request: GenerationRequest) -> list[str]:
    """One a stream; the blended stream avoids what any of its parts avoids."""
    own = ["" if isinstance(source, Kept) else source.negative_prompt.strip() for source in request.sources]
    return [*own, ", ".join(dict.fromkeys(text for text in own if text))]


def shares_unconditional(request: GenerationRequest) -> bool:
    """Whether background and blended stream avoid the same, so that they may share attention in that half too."""
    *_, background, blended = negative_prompts(request)
    return background == blended


def stream_seeds(request: GenerationRequest, init_noise: InitNoise) -> list[int]:
    """One a stream; the blended one's noise is always the background's."""
    seeds = [request.foreground_seed(index, init_noise) for index in range(len(request.foregrounds))]
    return [*seeds, *[request.background_seed] * 2]
