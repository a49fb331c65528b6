"""The prompts and seeds of the streams, and whether the pipeline uses them."""

from contextlib import closing
from dataclasses import replace

import pytest

from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.diffusion.stream_inputs import (
    negative_prompts,
    positive_prompts,
    read_prompts,
    stream_seeds,
)
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Box
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.sources import Generated


def test_the_blended_streams_prompts_combine_those_of_all_sources(bundle, request_for):
    request = request_for(
        foregrounds=(
            Generated(prompt="a dog", negative_prompt="fog"),
            Generated(prompt="a cat", negative_prompt=" rain "),
        ),
        background=Generated(prompt="a beach", negative_prompt="fog"),
    )
    assert negative_prompts(request) == ["fog", "rain", "fog", "fog, rain"]
    *own, whole = positive_prompts(request, bundle.spec)
    assert own == ["a dog", "a cat", "a beach"]
    assert whole == bundle.spec.blended_prompt(["a cat", "a dog"], "a beach")
    assert positive_prompts(request_for(blended_prompt="a feast"), bundle.spec)[-1] == "a feast"


def test_the_blended_stream_starts_from_the_backgrounds_noise(request_for):
    request = request_for(background=Generated(prompt="a beach", seed=7))
    assert stream_seeds(request, "shared")[-2:] == [7, 7]


class Begun(Observer):
    def begin(self, bundle, backbone, sampler, coupling, constraints):
        self.coupling = coupling


@pytest.mark.parametrize(("avoided", "shared"), [("", True), ("fog", False)])
def test_attention_is_shared_in_the_unconditional_half_only_with_equal_negative_prompts(
    bundle, request_for, avoided, shared
):
    """A foreground's negative prompt is also the blended stream's, but not the background's."""
    begun = Begun()
    request = request_for(foregrounds=(Generated(prompt="a red apple", negative_prompt=avoided),), steps=1)
    with closing(LayerFusionPipeline(bundle.spec, bundle=bundle).generate(request, begun)) as events:
        while not hasattr(begun, "coupling"):
            next(events)
    assert begun.coupling.share_unconditional is shared


def test_a_foreground_with_a_box_is_drafted_by_a_sampler_that_adds_noise(bundle, request_for):
    """Such a sampler needs one seed for every drafted stream."""
    spec = replace(bundle.spec, samplers=(*bundle.spec.samplers, "euler_a"))
    request = request_for(
        foregrounds=(Generated(prompt="a red apple", box=Box(20, 20, 80, 80)),), steps=1, sampler="euler_a"
    )
    *_, last = LayerFusionPipeline(spec, bundle=replace(bundle, spec=spec)).generate(request)
    assert isinstance(last, Finished)


def test_a_layers_open_bracket_ends_with_its_prompt(bundle, request_for):
    request = request_for(foregrounds=("a (red apple",), background="a [beach")
    assert positive_prompts(request, bundle.spec)[-1] == "a (red apple) on a [beach]"
    literal = request_for(foregrounds=("a (red apple",), background="a [beach", literal_prompts=True)
    assert positive_prompts(literal, bundle.spec)[-1] == "a (red apple on a [beach"
    assert read_prompts(literal, ["a (b"])[0].text == "a (b"
