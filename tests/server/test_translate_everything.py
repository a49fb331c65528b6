"""A request that says everything is the same request on the other side: nothing that can be asked for is forgotten."""

import dataclasses

import numpy as np
import pytest

from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.image.record import LayerRecord
from layerfusion.engine.image.shape import Shape
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit
from layerfusion.server import translate
from layerfusion.server.protocol.messages import Submit
from layerfusion.server.storage.layer_store import LayerStore

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"
PIXELS = np.arange(8 * 6 * 4, dtype=np.uint8).reshape(6, 8, 4)


def layer(role):
    return Layer(
        name="Äpfel",
        role=role,
        pixels=PIXELS,
        offset=(-1, 2),
        blend=BlendMode.MULTIPLY,
        opacity=0.5,
        visible=False,
    )


SHAPE = Shape(2, 2, b"\x00\xff\xff\x80")
GENERATED = Generated(
    prompt="a car", negative_prompt="wheels", seed=3, box=Box(x=1, y=2, width=30, height=20), shape=SHAPE
)
KEPT = Kept(layer=layer(Role.FOREGROUND), prompt="an apple")
RELIT = Relit(layer=layer(Role.BACKGROUND), prompt="a sky", negative_prompt="clouds", seed=4, strength=0.75)
EVERYTHING = GenerationRequest(
    size=Size(96, 64),
    background=RELIT,
    foregrounds=(GENERATED, KEPT),
    blended_prompt="a car, an apple and a sky",
    blended_strength=1.0,
    seed=7,
    steps=3,
    guidance_scale=2.5,
    guidance_rescale=0.5,
    sampler="dpmpp_2m",
    fusion=FusionSettings(decision_boundary=3.0),
    harmony=HarmonySettings(mode="exact"),
    refine=0.25,
    literal_prompts=True,
    model="tiny",
)
NOTHING_ELSE = {"model"}
"""Fields without another value: only the embedded model is on every machine."""
NO_PART = {"record"}
"""What a file says of a layer's past: no request holds it, see the test of that."""
BESIDE = {"content_layers": {"content_source": "prior"}}
"""Options that do something only beside others."""


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path)


def there_and_back(request, store):
    """What the server's engine is told, when a client's would have been told `request`."""
    for pixels in translate.uploads(request):
        store.put(pixels)
    submit = translate.to_submit(request, JOB)
    return translate.to_request(Submit.from_map(submit.to_map()), store)


def differences(one, other, name="request"):
    """The fields in which two values differ, all the way down."""
    if type(one) is not type(other):
        return [name]
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return [d for each in names for d in differences(getattr(one, each), getattr(other, each), f"{name}.{each}")]
    if isinstance(one, np.ndarray):
        return [] if np.array_equal(one, other) else [name]
    if isinstance(one, tuple) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in differences(a, b, f"{name}[{i}]")]
    return [] if one == other else [name]


def defaults_in(value, name="request"):
    """The fields that are as they would be if nobody had said anything, all the way down."""
    if isinstance(value, tuple):
        return [found for i, each in enumerate(value) for found in defaults_in(each, f"{name}[{i}]")]
    if not dataclasses.is_dataclass(value) or isinstance(value, FusionSettings):
        return []
    found = []
    for field in dataclasses.fields(value):
        if field.name in NO_PART:
            continue
        said = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if default is not dataclasses.MISSING and said == default and field.name not in NOTHING_ELSE:
            found.append(f"{name}.{field.name}")
        found += defaults_in(said, f"{name}.{field.name}")
    return found


def test_the_request_says_everything():
    """A field that was added to the engine has to be given a value above, and then has to come through below."""
    assert defaults_in(EVERYTHING) == []


def test_the_past_of_a_layer_is_no_part_of_a_request():
    past = dataclasses.replace(layer(Role.FOREGROUND), record=LayerRecord(prompt="a secret", seed=3))
    assert Kept(layer=past, prompt="an apple").layer.record is None
    assert Relit(layer=past, prompt="an apple").layer.record is None


def test_a_request_that_says_everything_comes_through_whole(store):
    assert differences(EVERYTHING, there_and_back(EVERYTHING, store)) == []


def test_a_blended_picture_of_the_artists_layers_comes_through_whole(store):
    request = dataclasses.replace(EVERYTHING, foregrounds=(KEPT,), background=KEPT, blended_strength=0.25)
    assert differences(request, there_and_back(request, store)) == []


def test_every_option_comes_through(subtests, store):
    """One at a time, as some contradict others."""
    for option in FusionSettings.options():
        with subtests.test(option=option.name):
            fusion = FusionSettings.from_values({option.name: another(option), **BESIDE.get(option.name, {})})
            assert fusion.values()[option.name] != option.default
            request = dataclasses.replace(EVERYTHING, fusion=fusion)
            assert differences(request, there_and_back(request, store)) == []


def another(option):
    """A value an option can have, and has not by itself."""
    match option.metadata["limits"]:
        case {"choices": choices}:
            return next(choice for choice in choices if choice != option.default)
        case {"whole": (low, high)}:
            return next(value for value in range(low, high + 1) if value != option.default)
        case {"number": (low, high)}:
            return next(value for value in (low + (high - low) / 3, low) if value != option.default)
        case {"flag": True}:
            return not option.default
        case {"text": _}:
            return "0,1"
    raise AssertionError(f"{option.name}: a new kind of limits")


def test_a_difference_is_seen():
    other = dataclasses.replace(EVERYTHING, refine=0.0, background=dataclasses.replace(RELIT, strength=0.1))
    assert differences(EVERYTHING, other) == ["request.background.strength", "request.refine"]
    assert defaults_in(other) == ["request.refine"]
