"""The embedded model has an adapter for few steps, and draws with it unless another preset than `fast` is named."""

from dataclasses import replace
from pathlib import Path

import pytest

from drawing import finished, pixels_equal
from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.events import Notice
from layerfusion.engine.models.catalog.weight_source import LocalWeights
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.sources import Generated


@pytest.fixture(scope="module")
def plain(small_pipeline, small_request):
    """The stack of `small_request()`, without previews."""
    return finished(small_pipeline.generate(small_request()))


def test_it_takes_its_values_from_the_adapter_and_leaves_the_model_as_it_was(small_pipeline, small_request, plain):
    spec = small_pipeline.spec
    adapter = spec.few_step_adapter
    assert adapter is not None and adapter.guidance_scale == 1 and adapter.steps <= 8
    fast = small_request(steps=None, fusion=spec.defaults.fusion.preset("fast"))
    stack = finished(small_pipeline.generate(fast))
    record = stack.record
    assert record is not None
    assert (record.preset, record.steps, record.sampler) == ("fast", adapter.steps, adapter.sampler)
    assert record.guidance_scale == 1
    assert [lora.name for lora in record.loras] == ["few_steps_lora.safetensors"]
    assert pixels_equal(stack, finished(small_pipeline.generate(fast)))
    assert pixels_equal(plain, finished(small_pipeline.generate(small_request())))


def test_the_network_does_a_fraction_of_the_work(small_pipeline, small_request):
    class Work(Observer):
        def __init__(self):
            self.rows = 0

        def forward(self, now, rows):
            self.rows += rows

    own, work = small_pipeline.spec.defaults.fusion, {"paper": Work(), "fast": Work()}
    for preset, observer in work.items():
        finished(small_pipeline.generate(small_request(steps=None, fusion=own.preset(preset)), observer))
    assert work["fast"].rows < 0.2 * work["paper"].rows


def test_the_other_presets_draw_without_it_in_all_steps(small_pipeline, small_request):
    spec = small_pipeline.spec
    assert spec.defaults.fusion.few_steps and spec.usual.steps == spec.few_step_adapter.steps
    for preset in ("paper", "exact", "balanced"):
        fusion = spec.defaults.fusion.preset(preset)
        assert not fusion.few_steps and spec.defaults_with(fusion) == spec.defaults
    stack = finished(small_pipeline.generate(small_request(steps=None, fusion=spec.defaults.fusion.preset("exact"))))
    assert stack.record is not None and not stack.record.loras
    assert (stack.record.steps, stack.record.guidance_scale) == (spec.defaults.steps, spec.defaults.guidance_scale)


def test_what_the_request_says_comes_first(small_pipeline, small_request):
    fusion = small_pipeline.spec.defaults.fusion.changed({"few_steps": True})
    stack = finished(small_pipeline.generate(small_request(steps=3, fusion=fusion)))
    assert stack.record is not None and stack.record.steps == 3


def test_guidance_and_negative_prompts_that_few_steps_cannot_follow_are_named(small_pipeline, small_request):
    avoid = Generated(prompt="a red apple", negative_prompt="a leaf")
    exact = small_pipeline.spec.defaults.fusion.preset("exact")
    for changes, named in (
        ({}, None),
        ({"guidance_scale": 1.5}, None),
        ({"guidance_scale": 4.0}, "and 4 exaggerates"),
        ({"foregrounds": (avoid,)}, "negative prompts have no effect"),
        ({"foregrounds": (avoid,), "guidance_scale": 4.0, "fusion": exact}, None),
    ):
        events = small_pipeline.generate(small_request(steps=1, **changes))
        told = [e.text for e in events if isinstance(e, Notice) and e.code == "few_steps_unguided"]
        assert len(told) == (named is not None) and all(named is not None and named in text for text in told)


def test_a_model_without_an_adapter_draws_as_usual(small, small_request):
    spec = replace(small.spec, few_step_adapter=None)
    fusion = spec.defaults.fusion
    usual, asked = (
        finished(LayerFusionPipeline(spec, bundle=replace(small, spec=spec)).generate(small_request(fusion=value)))
        for value in (fusion.changed({"few_steps": False}), fusion.changed({"few_steps": True}))
    )
    assert pixels_equal(usual, asked)


def test_a_lost_adapter_is_named(small, small_request):
    lost = replace(small.spec.few_step_adapter.lora, file=LocalWeights(Path("nowhere.safetensors")))
    spec = replace(small.spec, few_step_adapter=replace(small.spec.few_step_adapter, lora=lost))
    request = small_request(fusion=spec.defaults.fusion.preset("fast"))
    with pytest.raises(BrokenModel, match=r"nowhere\.safetensors is missing"):
        finished(LayerFusionPipeline(spec, bundle=replace(small, spec=spec)).generate(request))
