"""The public Python interface with the embedded model: plain arguments in, a stack out."""

# pyright: reportArgumentType=false
# Wrong arguments are tried here, too.

import warnings

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.api import LayerFusion, NoticeWarning, Options
from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.events import Finished, LayerReady, Notice, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit

CUT_OUT = np.zeros((128, 128, 4), np.uint8)
CUT_OUT[40:90, 30:100] = (200, 30, 20, 255)
SMALL = {"size": (128, 128), "steps": 2, "seed": 3}


@pytest.fixture(scope="module")
def pipe():
    return LayerFusion.from_pretrained("tiny", device="cpu")


@pytest.fixture
def asked(pipe, monkeypatch):
    """A function that returns the request which arguments make, without drawing it."""

    def ask(*given, **options):
        with monkeypatch.context() as patch:
            patch.setattr(pipe, "_drawing", lambda request: request)
            return pipe.stream(*given, **options)

    return ask


def test_plain_arguments_draw_the_same_as_a_whole_request(pipe):
    with pytest.warns(NoticeWarning, match="demo model"):
        stack = pipe("a red apple", background="a beach at sunset", **SMALL)
    apple, beach = Generated(prompt="a red apple"), Generated(prompt="a beach at sunset")
    whole = GenerationRequest(size=Size(128, 128), background=beach, foregrounds=(apple,), seed=3, steps=2)
    *_, last = pipe.stream(whole)
    assert isinstance(last, Finished)
    assert [layer.name for layer in stack] == [layer.name for layer in last.stack]
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(pixels(stack), pixels(last.stack), strict=True))
    assert stack.foreground.role is Role.FOREGROUND
    assert stack.background.to_pil().size == (128, 128)


def pixels(stack):
    return [layer.pixels for layer in stack]


def test_events_come_one_by_one_and_closing_cancels(pipe):
    events = pipe.stream(
        [Kept(Image.fromarray(CUT_OUT), "a red apple"), Generated("a robot", box=(64, 0, 64, 64))], "a beach", **SMALL
    )
    seen = []
    for event in events:
        seen.append(event)
        if isinstance(event, LayerReady) and event.layer.role is Role.FOREGROUND:
            break
    events.close()
    assert any(isinstance(event, Notice) for event in seen)
    assert any(isinstance(event, Progress) and event.stage == "drawing" for event in seen)
    kept = seen[-1].layer
    assert np.array_equal(kept.pixels, CUT_OUT)
    assert list(events) == []


def test_every_field_of_a_request_can_be_given_as_a_keyword(asked):
    said = set(Options.__annotations__) | {"foregrounds", "background", "model"}
    assert said - {"preset", "negative_prompt"} == set(GenerationRequest.__dataclass_fields__)


def test_plain_values_are_converted_for_the_request(asked):
    picture = Image.fromarray(CUT_OUT)
    request = asked(
        ["a red apple", Generated("a robot", seed=5), Relit(picture, "a ball", strength=0.25)],
        background=Kept(Layer(name="ground", role=Role.FOREGROUND, pixels=CUT_OUT), "a beach"),
        size=(256, 192),
        negative_prompt="a leaf",
        sampler="Euler a",
        preset="fast",
        fusion={"decision_boundary": 3.0},
        harmony="exact",
        refine=0.1,
    )
    assert request.size == Size(256, 192)
    assert [source.negative_prompt for source in request.foregrounds] == ["a leaf", "", ""]
    assert request.foregrounds[1].seed == 5
    assert request.background.layer.role is Role.BACKGROUND
    assert request.foregrounds[2].layer.role is Role.FOREGROUND
    assert request.sampler == "euler_a"
    own = find_model("tiny").defaults.fusion
    assert request.fusion == own.preset("fast").changed({"decision_boundary": 3.0})
    assert request.harmony == HarmonySettings(mode="exact")
    assert (request.refine, request.model) == (0.1, "tiny")
    assert asked("a", "b", fusion=FusionSettings(), preset="paper").fusion == FusionSettings().preset("paper")
    assert asked("a", "b").fusion is None


def test_the_default_canvas_is_that_of_a_kept_layer_or_of_the_model(asked):
    small, large = (Image.new("RGBA", size, "red") for size in ((80, 64), (200, 100)))
    assert asked("a", "b").size == Size(512, 512)
    assert asked(Kept(small, "a"), "b").size == Size(80, 64)
    assert asked(Kept(small, "a"), Relit(large, "b")).size == Size(200, 100)
    assert asked(Kept(small, "a"), "b", size=None).size == Size(80, 64)


def test_wrong_values_are_refused_before_anything_is_drawn(pipe):
    cases = [
        (("a", None), {}, "background is None"),
        ((None, "b"), {}, "foreground is None"),
        (([], "b"), {}, "0 foregrounds"),
        ((["a"] * 7, "b"), {}, "7 foregrounds"),
        ((["a", 5], "b"), {}, r"foreground 2 is 5 \(type int\)"),
        (("", "b"), {}, "empty"),
        ((Image.new("RGB", (8, 8)), "b"), {}, "foreground is .*Image"),
        (("a", "b"), {"sede": 3}, "no option 'sede'. The options are: size, seed"),
        (("a", "b"), {"size": 512}, r"canvas is 512 \(type int\)"),
        (("a", "b"), {"size": "512x512"}, r"canvas is '512x512' \(type str\)"),
        (("a", "b"), {"negative_prompt": None}, "negative prompt is None"),
        (("a", "b"), {"sampler": "warp"}, "sampler is 'warp'"),
        (("a", "b"), {"sampler": 5}, r"sampler is 5 \(type int\)"),
        (("a", "b"), {"preset": "best"}, "preset is 'best'"),
        (("a", "b"), {"preset": 5}, "preset is 5"),
        (("a", "b"), {"fusion": "fast"}, r"fusion settings are 'fast' \(type str\)"),
        (("a", "b"), {"fusion": {"nothing": 1}}, "nothing"),
        (("a", "b"), {"fusion": {5: 1}}, "5"),
    ]
    for given, options, named in cases:
        with pytest.raises(InvalidRequest, match=named):
            pipe.stream(*given, **options)
        with pytest.raises(InvalidRequest, match=named):
            pipe(*given, **options)
    request = GenerationRequest(size=(64, 64), background="b", foregrounds="a")
    for given, options in (((request, "b"), {}), ((request,), {"seed": 3})):
        with pytest.raises(InvalidRequest, match="Other values are given"):
            pipe.stream(*given, **options)


def test_devices_and_memory_are_checked_when_they_are_named():
    for options, named in (
        ({"device": "toaster"}, "device is 'toaster'"),
        ({"device": 0}, r"device is 0 \(type int\)"),
        ({"device": "cuda:99"}, "no device “cuda:99”"),
        ({"device": "meta"}, "no device “meta”"),
        ({"memory": "none"}, "memory policy is 'none'"),
        ({"memory": None}, "memory policy is None"),
    ):
        with pytest.raises(InvalidRequest, match=named):
            LayerFusion.from_pretrained("tiny", **options)


def test_the_same_device_keeps_the_weights(pipe):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe("a robot", "a beach", size=(64, 64), steps=1)
    drawing = pipe._pipeline
    assert drawing is not None
    assert pipe.to("cpu") is pipe
    assert pipe._pipeline is drawing
    assert "tiny" in repr(pipe)
    assert "cpu" in repr(pipe)
