"""Tiled refinement in whole jobs of the embedded model."""

from dataclasses import replace

import numpy as np
import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.events import Finished, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.sources import Kept


def draw(pipeline, request):
    events = list(pipeline.generate(request))
    assert isinstance(events[-1], Finished)
    return events[-1].stack, [e for e in events if isinstance(e, Progress) and e.stage == "refining"]


@pytest.fixture(scope="module")
def pipeline(bundle):
    """The embedded model at half its size, so that a small canvas is larger than what it draws."""
    half = replace(bundle, spec=replace(bundle.spec, native_size=128))
    return LayerFusionPipeline(half.spec, bundle=half)


@pytest.fixture
def base(request_for):
    """A function that makes a request for a canvas larger than the model's working size."""

    def make(**changes):
        return request_for(**{"size": Size(180, 180), "steps": 5, **changes})

    return make


def test_layers_are_refined_and_keep_what_they_show(pipeline, base):
    plain, none = draw(pipeline, base())
    refined, steps = draw(pipeline, base(refine=0.15))
    assert not none
    assert [step.step for step in steps] == list(range(len(steps)))
    assert steps[-1].total == 4
    assert [layer.size for layer in refined] == [Size(180, 180)] * 5
    background, before = refined.layers[0].pixels, plain.layers[0].pixels
    assert 0.5 < abs(background.astype(int) - before).mean() < 16
    alpha, alpha_before = (stack.layers[1].pixels[..., 3] > 127 for stack in (refined, plain))
    assert (alpha & alpha_before).sum() > 0.9 * (alpha | alpha_before).sum()


def test_a_kept_layer_is_not_changed(pipeline, base):
    pixels = np.zeros((200, 200, 4), np.uint8)
    pixels[90:170, 60:140] = (200, 30, 20, 255)
    kept = Kept(layer=Layer(name="block", role=Role.FOREGROUND, pixels=pixels), prompt="a red apple")
    stack, _ = draw(pipeline, base(foregrounds=(kept,), refine=0.15, steps=2))
    assert stack.by_role(Role.FOREGROUND)[0].pixels is kept.layer.pixels


def test_a_canvas_no_larger_than_the_model_draws_has_nothing_to_refine(pipeline, base):
    _, steps = draw(pipeline, base(size=Size(128, 128), refine=0.5, steps=2))
    assert not steps


def test_a_strength_outside_its_range_is_refused(subtests, base):
    for strength in [-0.1, 1.1, float("nan")]:
        with subtests.test(strength=strength), pytest.raises(InvalidRequest, match="refinement"):
            base(refine=strength)
