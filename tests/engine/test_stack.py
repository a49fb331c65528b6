import io

import numpy as np
import pytest
from PIL import Image

from layerfusion.engine.errors import EngineError, InvalidLayer, InvalidRequest, NoSuchLayer, UnknownFormat
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.layers import BlendMode, Layer, Role
from layerfusion.engine.stack import LayerStack, load

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)


def layer(name, role, **values):
    return Layer(**{"name": name, "role": role, "pixels": PIXELS, **values})


def stack_of(*layers):
    return LayerStack(name="an apple + a beach", size=(8, 6), layers=layers)


GROUND, APPLE = layer("Background", Role.BACKGROUND), layer("Foreground", Role.FOREGROUND)
SHADOW = layer("Shadow (exact, this arrangement)", Role.SHADOW, blend=BlendMode.MULTIPLY)
BLENDED = layer("Blended", Role.BLENDED, visible=False, opacity=0.5)
STACK = stack_of(GROUND, APPLE, SHADOW, BLENDED)


def test_layers_are_found_by_role_by_name_and_by_place():
    assert STACK.foreground is APPLE
    assert STACK.foregrounds == (APPLE,)
    assert STACK.background is GROUND
    assert STACK["Shadow"] is STACK["shadow"] is STACK[Role.SHADOW] is STACK[SHADOW.name] is SHADOW
    assert STACK["BLENDED"] is STACK[-1] is STACK[3] is BLENDED
    assert "Shadow" in STACK
    assert APPLE in STACK
    assert "Light" not in STACK
    assert 5 not in STACK
    other = layer("background", Role.FOREGROUND)
    assert stack_of(GROUND, other)["background"] is other, "an exact name comes first"


def test_a_missing_layer_is_named_with_the_layers_that_exist():
    for key, named in (("Light", "'Light'"), (Role.LIGHT, "'light'"), (4, "no layer 4"), (-5, "-5"), (True, "True")):
        with pytest.raises(NoSuchLayer, match=named) as missing:
            STACK[key]
        assert "“Background”, “Foreground”" in missing.value.hint
    assert issubclass(NoSuchLayer, KeyError)
    assert issubclass(NoSuchLayer, EngineError)
    assert not str(missing.value).startswith('"'), "a KeyError quotes itself; a sentence does not"


def test_one_of_several_layers_must_be_taken_by_name():
    several = stack_of(GROUND, APPLE, layer("Foreground 2", Role.FOREGROUND))
    with pytest.raises(NoSuchLayer, match="2 layers that are 'foreground'"):
        _ = several.foreground
    assert several["Foreground"] is APPLE
    assert [found.name for found in several.foregrounds] == ["Foreground", "Foreground 2"]
    with pytest.raises(NoSuchLayer, match="no layer 'foreground'"):
        _ = stack_of(GROUND).foreground


def test_the_repr_has_one_line_per_layer():
    lines = repr(STACK).splitlines()
    assert lines[0] == "<LayerStack 'an apple + a beach', 8x6 px, 4 layers, bottom first:"
    assert lines[1] == "  'Background': background, 8x6 at 0,0, normal"
    assert lines[4] == "  'Blended': blended, 8x6 at 0,0, normal, opacity 0.5, hidden>"
    assert len(lines) == 5
    assert repr(SHADOW).startswith("<Layer 'Shadow")


def test_pillow_gets_the_composite_and_every_layer():
    assert np.array_equal(np.asarray(STACK.to_pil()), flatten(STACK))
    picture = APPLE.to_pil()
    assert picture.mode == "RGBA"
    assert np.array_equal(np.asarray(picture), PIXELS)
    picture.putpixel((0, 0), (0, 0, 0, 0))
    assert np.array_equal(APPLE.pixels, PIXELS), "the picture is a copy"
    assert np.array_equal(layer("a", Role.FOREGROUND, pixels=APPLE.to_pil()).pixels, PIXELS)


def test_a_notebook_shows_every_layer():
    sheet = Image.open(io.BytesIO(STACK._repr_png_()))
    assert sheet.mode == "RGB"
    assert Image.open(io.BytesIO(APPLE._repr_png_())).size == (8, 6)
    large = LayerStack(
        name="",
        size=(600, 300),
        layers=(
            layer("Ground", Role.BACKGROUND, pixels=np.full((300, 600, 4), (0, 0, 255, 255), np.uint8)),
            layer("x" * 200, Role.FOREGROUND, pixels=np.full((30, 60, 4), (255, 0, 0, 255), np.uint8), offset=(-30, 0)),
            layer("Light", Role.LIGHT, pixels=np.zeros((300, 600, 4), np.uint8), blend=BlendMode.ADD),
        ),
    )
    sheet = Image.open(io.BytesIO(large._repr_png_()))
    assert sheet.size == (4 * 232 + 8, 112 + 22 + 8 + 8)
    composite, ground, mine, light = (sheet.getpixel((8 + 232 * column + 4, 12)) for column in range(4))
    assert (composite, ground, mine, light) == ((255, 0, 0), (0, 0, 255), (255, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("name", ["a.psd", "a.ora", "a/"])
def test_what_is_saved_is_loaded_as_a_stack(tmp_path, name):
    STACK.save(f"{tmp_path}/{name}")
    loaded = load(f"{tmp_path}/{name}")
    assert isinstance(loaded, LayerStack)
    assert [each.name for each in loaded] == [each.name for each in STACK]
    assert np.array_equal(loaded.foreground.pixels, PIXELS)
    assert isinstance(loaded.with_layer(APPLE), LayerStack)
    with pytest.raises(UnknownFormat):
        STACK.save(tmp_path / "a.gif")


def test_stacks_of_wrong_values_are_refused():
    for values, kind, named in (
        ({"name": None}, InvalidLayer, "name of the stack is None"),
        ({"size": 5}, InvalidRequest, r"size of the stack is 5 \(type int\)"),
        ({"size": (5, 0)}, InvalidRequest, "height is 0"),
        ({"layers": "ab"}, InvalidLayer, r"layers are 'ab' \(type str\)"),
        ({"layers": (GROUND, "x")}, InvalidLayer, r"Layer 2 of the stack is 'x' \(type str\)"),
    ):
        with pytest.raises(kind, match=named):
            LayerStack(**{"name": "", "size": (8, 6), "layers": (GROUND,), **values})
