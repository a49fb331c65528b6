"""Every field of a request and its parts, given a value of a wrong type: an error names the field and the type at once.

Nothing is drawn, and no `AttributeError` is raised later.
"""

# pyright: reportArgumentType=false
# These tests pass wrong arguments on purpose.

import ast
import dataclasses
import inspect
import sys

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.errors import EngineError, InvalidLayer, InvalidRequest
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit

PIXELS = np.full((8, 8, 4), 255, np.uint8)
LAYER = Layer(name="apple", role=Role.FOREGROUND, pixels=PIXELS)


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")


NOBODY_MEANS = [
    object(),
    b"bytes",
    {"a": 1},
    {1},
    1j,
    float("nan"),
    float("inf"),
    10**5000,
    -(10**400),
    np.int64(3),
    np.float32(0.5),
    np.bool_(True),
    np.array([1, 2]),
    [None],
    ("x", None),
    range(3),
    Hostile(),
    Hostile,
    len,
]
"""A value that is valid for no field of any of these classes."""

WHOLE = {"seed", "steps", "width", "height", "x", "y"}
NUMBER = {"strength", "guidance_scale", "guidance_rescale", "blended_strength", "refine", "opacity"}
TEXT = {"prompt", "negative_prompt", "blended_prompt", "sampler", "model", "name"}
SOURCE = {"background", "foregrounds"}
OPTIONAL = {
    "record",
    "shape",
    "blended_prompt",
    "blended_strength",
    "steps",
    "guidance_scale",
    "guidance_rescale",
    "sampler",
    "fusion",
}
COMPLETE = {
    Size: {"width": 64, "height": 64},
    Box: {"x": 0, "y": 0, "width": 32, "height": 32},
    Generated: {"prompt": "a", "negative_prompt": "", "seed": None, "box": Box(0, 0, 64, 64), "shape": None},
    Kept: {"layer": LAYER, "prompt": "a"},
    Relit: {"layer": LAYER, "prompt": "a", "negative_prompt": "", "seed": None, "strength": 0.5},
    Layer: {
        "name": "a",
        "role": Role.FOREGROUND,
        "pixels": PIXELS,
        "offset": (0, 0),
        "blend": BlendMode.NORMAL,
        "opacity": 1.0,
        "visible": True,
        "record": LayerRecord(prompt="a"),
    },
    LayeredImage: {
        "name": "a",
        "size": Size(64, 64),
        "layers": (LAYER,),
        "resolution": (300.0, 300.0),
        "record": PictureRecord(),
    },
    GenerationRequest: {
        "size": Size(64, 64),
        "background": Generated("a"),
        "foregrounds": (Generated("b"),),
        "blended_prompt": None,
        "blended_strength": None,
        "seed": 0,
        "steps": None,
        "guidance_scale": None,
        "guidance_rescale": None,
        "sampler": None,
        "fusion": None,
        "harmony": HarmonySettings(),
        "refine": 0.0,
        "model": "tiny",
        "literal_prompts": False,
    },
}
"""Every field of every class, with a valid value."""


def wrong_for(name):
    """Further values that are wrong for a field of that name."""
    wrong = [*NOBODY_MEANS, Image.new("CMYK", (8, 8))]
    if name not in OPTIONAL | {"box", "seed"}:
        wrong.append(None)
    if name not in ("visible", "literal_prompts"):
        wrong += [True, False]
    if name not in WHOLE | NUMBER:
        wrong += [3, 0.5]
    if name in WHOLE:
        wrong += [2.0, "3"]
    if name in NUMBER:
        wrong += ["0.5", 400, -1]
    if name not in TEXT | SOURCE:
        wrong += ["nothing", ""]
    if name in TEXT - {"negative_prompt", "name"}:
        wrong += ["", " \n"]
    if name in TEXT:
        wrong.append(LAYER)
    return wrong


def test_every_field_is_declared_for_type_checkers():
    """If a constructor accepts more types than its attributes have, `__init__` is declared for type checkers alone."""
    told = {}
    for module in {sys.modules[kind.__module__] for kind in COMPLETE}:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ClassDef):
                for init in (inner for inner in ast.walk(node) if getattr(inner, "name", "") == "__init__"):
                    told[node.name] = [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs)][1:]
    assert set(told) >= {"Generated", "Existing", "Relit", "Layer", "LayeredImage", "GenerationRequest"}
    for kind in COMPLETE:
        if kind.__name__ in told:
            assert told[kind.__name__] == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", COMPLETE, ids=lambda kind: kind.__name__)
def test_a_wrong_value_is_named_with_its_type(kind):
    complete = COMPLETE[kind]
    assert set(complete) == {field.name for field in dataclasses.fields(kind)}, "say here what is right for it"
    kind(**complete)
    for name in complete:
        for value in wrong_for(name):
            with pytest.raises(InvalidRequest) as refused:
                kind(**{**complete, name: value})
            error = refused.value
            assert error.hint, (name, value)
            assert len(str(error)) < 600
            if isinstance(value, (np.generic, np.ndarray, bytes, dict)) and name not in ("foregrounds", "pixels"):
                assert f"type {'numpy.' * isinstance(value, (np.generic, np.ndarray))}{type(value).__name__}" in str(
                    error
                ), (name, value)


def test_the_field_is_named():
    for make, named in (
        (lambda: Generated("a", seed=True), r"seed is True \(type bool\)"),
        (lambda: Generated("a", box="0,0,32x32"), r"box is '0,0,32x32' \(type str\)"),
        (lambda: Generated("a", box=(0, 0, 32)), "box is"),
        (lambda: Generated("a", box=(0, 0, 32, 8)), "box's height is 8"),
        (lambda: Relit(LAYER, "a", strength=np.float32(0.5)), r"strength of the relit layer is .*numpy\.float32"),
        (lambda: Layer(name="a", role="hero", pixels=PIXELS), "role of the layer “a” is 'hero'"),
        (lambda: Layer(name="a", role=Role.LIGHT, pixels=PIXELS, blend="screen"), "blend mode of .* 'screen'"),
        (lambda: Layer(name="a", role=Role.LIGHT, pixels="apple.png"), r"pixels of the layer “a” are 'apple.png'"),
        (lambda: Layer(name="a", role=Role.LIGHT, pixels=PIXELS, offset=(0, 2**31)), "offset"),
    ):
        with pytest.raises(InvalidRequest, match=named):
            make()


def test_a_path_is_not_accepted_as_a_picture(tmp_path):
    """A text could be meant as a prompt, so it is not opened as a file."""
    for path in ("apple.png", tmp_path / "apple.png"):
        for kind in (Kept, Relit):
            with pytest.raises(InvalidLayer, match="The layer is ") as refused:
                kind(path, "a red apple")
            assert "PIL.Image.open" in refused.value.hint


def test_plain_values_are_converted():
    assert Generated("a", box=[0, 8, 32, 16]).box == Box(0, 8, 32, 16)
    layer = Layer(name="a", role="shadow", pixels=Image.new("L", (4, 2), 7), blend="multiply", offset=[1, -2])
    assert (layer.role, layer.blend, layer.offset) == (Role.SHADOW, BlendMode.MULTIPLY, (1, -2))
    assert layer.pixels[0, 0].tolist() == [7, 7, 7, 255]
    request = GenerationRequest(size=(80, 64), background="a beach", foregrounds="an apple", harmony="exact")
    assert request.size == Size(80, 64)
    assert request.background == Generated("a beach")
    assert request.foregrounds == (Generated("an apple"),)
    assert request.harmony == HarmonySettings(mode="exact")
    assert GenerationRequest(size=[80, 64], background="a", foregrounds=["b", Generated("c")]).foregrounds == (
        Generated("b"),
        Generated("c"),
    )
    assert GenerationRequest(size=(80, 64), background="a", foregrounds="b", fusion=FusionSettings()).fusion is not None


def test_pillow_pictures_are_kept_byte_for_byte(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 17, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels, "RGBA")
    for kind in (Kept, Relit):
        source = kind(picture, "a red apple")
        assert np.array_equal(source.layer.pixels, pixels)
        assert (source.layer.name, source.layer.offset) == ("Picture", (0, 0))
    picture.save(tmp_path / "red apple.png")
    opened = Kept(Image.open(tmp_path / "red apple.png"), "a red apple")
    assert opened.layer.name == "red apple"
    assert np.array_equal(opened.layer.pixels, pixels)
    (tmp_path / "half.png").write_bytes((tmp_path / "red apple.png").read_bytes()[:-200])
    for wrong, named in (
        (Image.open(tmp_path / "half.png"), "cannot be read"),
        (Image.new("RGB", (1, 8)), "1x8 px"),
        (Image.new("1", (2, 20_000)), "2x20000 px"),
        (Image.new("RGBA", (8, 8)), "transparent all over"),
        (Image.new("I;16", (8, 8)), "mode “I;16”"),
        (Image.new("F", (8, 8)), "mode “F”"),
    ):
        with pytest.raises(InvalidLayer, match=named):
            Kept(wrong, "a red apple")


def test_a_layer_gets_the_role_of_its_place():
    ground = Layer(name="ground", role=Role.SHADOW, pixels=PIXELS)
    request = GenerationRequest(size=(64, 64), background=Kept(ground, "a"), foregrounds=Relit(ground, "b", seed=4))
    assert request.background.layer.role is Role.BACKGROUND
    assert request.foregrounds[0].layer.role is Role.FOREGROUND
    assert request.foregrounds[0].seed == 4
    kept = Kept(LAYER, "b")
    assert GenerationRequest(size=(64, 64), background="a", foregrounds=kept).foregrounds[0] is kept
    assert issubclass(InvalidLayer, EngineError)
