"""The prompts and the noise seeds of the streams, in the order of `Streams`."""

from __future__ import annotations

from collections.abc import Iterable

from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.fusion import InitNoise
from layerfusion.engine.prompt_syntax import ParsedPrompt, closed, literal, parse
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Kept


def positive_prompts(request: GenerationRequest, spec: ModelSpec) -> list[str]:
    """One prompt per stream. The blended stream's is made from the others unless the request gives it."""
    own = [source.prompt for source in request.sources]
    *foregrounds, background = own if request.literal_prompts else [closed(prompt) for prompt in own]
    whole = request.blended_prompt or spec.blended_prompt(foregrounds[::-1], background)
    return [*own, whole]


def negative_prompts(request: GenerationRequest) -> list[str]:
    """One negative prompt per stream. The blended stream's is the list of all others, without repetitions."""
    own = ["" if isinstance(source, Kept) else source.negative_prompt.strip() for source in request.sources]
    parts = own if request.literal_prompts else [closed(text) for text in own]
    return [*own, ", ".join(dict.fromkeys(text for text in parts if text))]


def read_prompts(request: GenerationRequest, prompts: Iterable[str]) -> list[ParsedPrompt]:
    """Prompts of a request with their syntax read, or without any if the request says so."""
    return [literal(prompt) if request.literal_prompts else parse(prompt) for prompt in prompts]


def words(request: GenerationRequest) -> list[str]:
    """The words of each layer's prompt, without syntax, in the order of `GenerationRequest.sources`."""
    return [prompt.text for prompt in read_prompts(request, (source.prompt for source in request.sources))]


def shares_unconditional(request: GenerationRequest) -> bool:
    """Whether the background and the blended stream may share attention in the unconditional half, too.

    They may if their negative prompts are equal.
    """
    *_, background, blended = negative_prompts(request)
    return background == blended


def stream_seeds(request: GenerationRequest, init_noise: InitNoise) -> list[int]:
    """One seed per stream for its initial noise. The blended stream always has the background's."""
    seeds = [request.foreground_seed(index, init_noise) for index in range(len(request.foregrounds))]
    return [*seeds, *[request.background_seed] * 2]
