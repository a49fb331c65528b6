import hashlib
from dataclasses import replace

import numpy as np
import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.provenance import with_records
from layerfusion.engine.redrawing import Changes, again_request, harmonise_request, parts_of, put_back
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit
from layerfusion.engine.stack import LayerStack

TINY = find_model("tiny")
SIZE = Size(96, 64)


def pixels(seed, width=96, height=64, alpha=255):
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    made[..., 3] = alpha
    return made


def layer(name, role, seed, **more):
    return Layer(name=name, role=role, pixels=pixels(seed), **more)


def drawn_stack(*foregrounds, backgrounds=1):
    below = [layer("Background", Role.BACKGROUND, 90 + number) for number in range(backgrounds)]
    above = [
        layer("Shadow", Role.SHADOW, 81, blend=BlendMode.MULTIPLY),
        layer("Light", Role.LIGHT, 82, blend=BlendMode.ADD),
        layer("Blended", Role.BLENDED, 83, visible=False),
    ]
    return LayerStack(name="an apple + a pear + a beach", size=SIZE, layers=(*below, *foregrounds, *above))


APPLE = Layer(name="Foreground 1", role=Role.FOREGROUND, pixels=pixels(1, 20, 30), offset=(5, 6))
PEAR = Layer(name="Foreground 2", role=Role.FOREGROUND, pixels=pixels(2, 10, 12), offset=(50, 20))

REQUEST = GenerationRequest(
    size=SIZE,
    background=Generated("a beach", negative_prompt="dark"),
    foregrounds=[Generated("an apple", seed=8, box=Box(1, 2, 30, 40)), Generated("a pear")],
    seed=77,
    steps=7,
    guidance_scale=3.5,
    sampler="ddim",
    fusion=TINY.defaults.fusion.preset("balanced"),
    harmony="exact",
    refine=0.25,
)


def recorded(request=REQUEST):
    return with_records(drawn_stack(APPLE, PEAR), request, TINY, created=0)


def values(request):
    names = ("size", "steps", "guidance_scale", "sampler", "fusion", "harmony", "refine", "model", "seed")
    return {name: getattr(request, name) for name in names}


def test_the_record_says_what_was_drawn():
    stack = recorded()
    assert stack.record is not None
    assert stack.record.created == "1970-01-01T00:00:00Z"
    assert (stack.record.model, stack.record.preset, stack.record.native_size) == ("tiny", "balanced", TINY.native_size)
    assert len(stack.record.model_sha256) == 64
    assert [entry.record.source for entry in stack] == ["generated"] * 3 + ["derived"] * 2 + ["generated"]
    apple = stack.layers[1].record
    assert apple == LayerRecord(prompt="an apple", seed=8, box=(1, 2, 30, 40))
    assert stack.layers[-1].record.negative_prompt == "dark"


def test_the_date_can_be_pinned(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert with_records(drawn_stack(APPLE, PEAR), REQUEST, TINY).record.created == "1970-01-02T00:00:00Z"


def test_kept_and_relit_layers_are_recorded_with_their_bytes():
    request = replace(REQUEST, foregrounds=(Kept(APPLE, "an apple"), Relit(PEAR, "a pear", strength=0.3)), refine=0.0)
    kept, relit = (entry.record for entry in with_records(drawn_stack(APPLE, PEAR), request, TINY).layers[1:3])
    assert (kept.source, kept.seed) == ("kept", None)
    assert kept.sha256 == hashlib.sha256(APPLE.pixels.tobytes()).hexdigest()
    assert (relit.source, relit.strength) == ("relit", 0.3)
    assert relit.sha256 == hashlib.sha256(PEAR.pixels.tobytes()).hexdigest()


def test_a_model_that_is_not_known_here_leaves_its_defaults_out():
    request = replace(REQUEST, model="theirs", steps=None, fusion=None)
    stack = with_records(drawn_stack(APPLE, PEAR), request, None)
    assert (stack.record.model, stack.record.steps, stack.record.model_sha256) == ("theirs", None, "")
    assert [entry.record.prompt for entry in stack][:3] == ["a beach", "an apple", "a pear"]


def test_again_asks_for_the_same_picture():
    stack = recorded()
    request = again_request(SIZE, stack.record, parts_of(stack), TINY, Changes())
    assert values(request) == values(REQUEST)
    assert request.foregrounds[0] == REQUEST.foregrounds[0]
    for index in range(2):
        ours, theirs = (r.foreground_seed(index, request.fusion.init_noise) for r in (request, REQUEST))
        assert ours == theirs
    assert request.background_seed == REQUEST.background_seed
    assert request.blended_prompt == stack.record.blended_prompt


@pytest.mark.parametrize("few", [True, False])
def test_again_draws_in_few_steps_what_was_drawn_so(few):
    """Whatever the model does by itself: the record names the adapter's file if it took part."""
    fusion = TINY.defaults.fusion.changed({"few_steps": few})
    record = recorded(replace(REQUEST, fusion=fusion)).record
    assert record is not None and bool(record.loras) == few
    other = replace(TINY, defaults=replace(TINY.defaults, fusion=fusion.changed({"few_steps": not few})))
    for settings in (record.settings, ()):
        request = again_request(SIZE, replace(record, settings=settings), parts_of(recorded()), other, Changes())
        assert request.fusion == fusion


def test_again_with_another_seed_or_prompt():
    stack = recorded()
    request = again_request(SIZE, stack.record, parts_of(stack), TINY, Changes(seed=5))
    assert request.seed == 5
    assert [source.seed for source in request.sources] == [None] * 3
    request = again_request(SIZE, stack.record, parts_of(stack), TINY, Changes(foregrounds=("a jar", "a pot")))
    assert [source.prompt for source in request.sources] == ["a jar", "a pot", "a beach"]
    assert request.blended_prompt is None
    with pytest.raises(InvalidRequest, match="1 foreground prompts are given, and the picture has 2"):
        again_request(SIZE, stack.record, parts_of(stack), TINY, Changes(foregrounds=("a jar",)))


def test_again_refuses_what_the_file_does_not_hold():
    stack = recorded(replace(REQUEST, foregrounds=(Relit(APPLE, "an apple"), Generated("a pear"))))
    with pytest.raises(InvalidRequest, match="was drawn over pixels that the file does not hold"):
        again_request(SIZE, stack.record, parts_of(stack), TINY, Changes())
    with pytest.raises(InvalidRequest, match="does not record how"):
        again_request(SIZE, None, parts_of(drawn_stack(APPLE)), TINY, Changes())
    stack = recorded().without_prompts()
    with pytest.raises(InvalidRequest, match="does not hold the prompts"):
        again_request(SIZE, stack.record, parts_of(stack), TINY, Changes())


def test_harmonise_keeps_what_is_seen_at_its_new_place():
    stack = recorded()
    moved = replace(stack.layers[1], offset=(-7, 30))
    stack = replace(stack, layers=(stack.layers[0], moved, *stack.layers[2:]))
    request = harmonise_request(stack, TINY, Changes())
    assert [source.prompt for source in request.sources] == ["an apple", "a pear", "a beach"]
    assert all(isinstance(source, Kept) for source in request.sources)
    assert request.foregrounds[0].layer.offset == (-7, 30)
    assert request.foregrounds[0].layer.pixels is moved.pixels
    assert values(request) == values(REQUEST)


def test_harmonise_leaves_hidden_foregrounds_out_and_gives_them_back():
    stack = recorded()
    hidden = replace(stack.layers[1], visible=False)
    stack = replace(stack, layers=(stack.layers[0], hidden, *stack.layers[2:]))
    request = harmonise_request(stack, TINY, Changes())
    assert [source.prompt for source in request.sources] == ["a pear", "a beach"]
    fresh = with_records(drawn_stack(PEAR), request, TINY)
    result = put_back(stack, fresh)
    assert [entry.name for entry in result] == [entry.name for entry in stack]
    assert all(np.array_equal(result.layers[index].pixels, stack.layers[index].pixels) for index in range(3))
    assert all(result.layers[-index].pixels is fresh.layers[-index].pixels for index in (1, 2, 3))
    assert [entry.record.source for entry in result] == ["kept"] * 3 + ["derived"] * 2 + ["generated"]
    assert [entry.visible for entry in result][:3] == [True, False, True]


def test_harmonise_of_several_background_layers_gives_each_back():
    stack = with_records(drawn_stack(APPLE, PEAR, backgrounds=2), REQUEST, TINY)
    upper = replace(stack.layers[1], opacity=0.5)
    stack = replace(stack, layers=(stack.layers[0], upper, *stack.layers[2:]), resolution=(300.0, 300.0))
    request = harmonise_request(stack, TINY, Changes())
    low, high = stack.layers[0].pixels.astype(float), upper.pixels.astype(float)
    assert np.abs(request.background.layer.pixels - (low + high) / 2).max() <= 1.5
    result = put_back(stack, with_records(drawn_stack(APPLE, PEAR), request, TINY))
    assert [entry.role.value for entry in result][:3] == ["background", "background", "foreground"]
    assert result.layers[1].opacity == 0.5
    assert result.resolution == (300, 300)


def test_harmonise_takes_prompts_from_the_title_if_another_program_dropped_the_records():
    stack = drawn_stack(APPLE, PEAR)
    request = harmonise_request(stack, TINY, Changes())
    assert [source.prompt for source in request.sources] == ["an apple", "a pear", "a beach"]
    assert (request.model, request.seed) == ("tiny", 0)
    request = harmonise_request(stack, TINY, Changes(background="a wall", seed=4))
    assert (request.background.prompt, request.seed) == ("a wall", 4)
    with pytest.raises(InvalidRequest, match=r"does not say what “Foreground 1” shows.*--foreground"):
        harmonise_request(replace(stack, name="untitled"), TINY, Changes())


@pytest.mark.parametrize("role", [Role.BACKGROUND, Role.FOREGROUND])
def test_harmonise_needs_a_background_and_a_foreground(role):
    stack = drawn_stack(APPLE)
    shown = tuple(replace(entry, visible=False) if entry.role is role else entry for entry in stack)
    with pytest.raises(InvalidRequest, match=f"no visible {role.value.title()}"):
        harmonise_request(replace(stack, layers=shown), TINY, Changes())


def test_settings_of_another_model_are_left_to_its_defaults():
    record = PictureRecord(model="theirs", preset="fast", sampler="lcm", steps=4, seed=9)
    stack = LayeredImage(name="a + b", size=SIZE, layers=drawn_stack(APPLE).layers, record=record)
    request = harmonise_request(stack, TINY, Changes())
    assert (request.fusion, request.seed) == (None, 9)
