"""Generate a picture, move its object, and harmonise again: the paper's Fig. 1 on the embedded model.

    python examples/move_and_harmonise.py before.psd after.psd

Background and object come back byte for byte; Shadow and Light are made anew where the object stands now.
"""

import sys

from layerfusion.engine import formats
from layerfusion.engine.editing import harmonise, moved
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Role
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated
from layerfusion.engine.stack import LayerStack

PROMPTS = ("a red apple", "a green meadow on a sunny day")


def finished(pipeline: LayerFusionPipeline, request: GenerationRequest) -> LayerStack:
    *_, last = pipeline.generate(request)
    assert isinstance(last, Finished)
    return last.stack


def main(before: str, after: str) -> None:
    pipeline = LayerFusionPipeline(find_model("tiny"))
    foreground, background = (Generated(prompt=prompt) for prompt in PROMPTS)
    first = finished(
        pipeline, GenerationRequest(size=Size(128, 128), background=background, foregrounds=(foreground,), seed=3)
    )
    formats.save(first, before)
    there = moved(first.by_role(Role.FOREGROUND)[0], by=(24, 6), scale=0.6)
    formats.save(finished(pipeline, harmonise(first, there, PROMPTS, seed=3)), after)


if __name__ == "__main__":
    main(*sys.argv[1:3])
