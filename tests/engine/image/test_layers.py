import dataclasses

import numpy as np
import pytest

from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role


def make(**values):
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    return Layer(**{"name": "林檎", "role": Role.FOREGROUND, "pixels": pixels, **values})


def test_a_layer_owns_its_pixels():
    pixels = np.zeros((2, 3, 4), np.uint8)
    layer = make(pixels=pixels)
    pixels[:] = 7
    assert not layer.pixels.any()
    with pytest.raises(ValueError, match="read-only"):
        layer.pixels[0, 0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.name = "other"
    assert layer.size == Size(3, 2)


def test_views_are_made_whole():
    pixels = np.arange(96, dtype=np.uint8).reshape(4, 6, 4)
    layer = make(pixels=pixels[::-1, ::2])
    assert layer.pixels.flags.c_contiguous
    assert np.array_equal(layer.pixels, pixels[::-1, ::2])


def test_what_is_no_layer_is_refused_by_name(subtests):
    for wrong, named in [
        ({"pixels": np.zeros((2, 2, 3), np.uint8)}, r"\(2, 2, 3\)"),
        ({"pixels": np.zeros((2, 2, 4), np.float32)}, "float32"),
        ({"pixels": np.zeros((0, 2, 4), np.uint8)}, "no pixels"),
        ({"name": ""}, "0 characters"),
        ({"name": "x" * 256}, "256 characters"),
        ({"opacity": 1.01}, "1.01"),
        ({"opacity": float("nan")}, "nan"),
    ]:
        with subtests.test(wrong=wrong, named=named), pytest.raises(InvalidLayer, match=named):
            make(**wrong)


def test_renaming_changes_nothing_else():
    layer = make(offset=(-3, 4), blend=BlendMode.ADD, opacity=0.25, visible=False)
    other = layer.renamed("apple")
    assert other.name == "apple"
    for field in ("role", "offset", "blend", "opacity", "visible"):
        assert getattr(other, field) == getattr(layer, field)
    assert np.array_equal(other.pixels, layer.pixels)


def test_a_stack_is_in_order_and_knows_roles():
    ground, first, second = make(role=Role.BACKGROUND), make(name="1"), make(name="2")
    stack = LayeredImage(name="stack", size=Size(3, 2), layers=(ground, first)).with_layer(second)
    assert list(stack) == [ground, first, second]
    assert len(stack) == 3
    assert stack.by_role(Role.FOREGROUND) == (first, second)
    assert stack.by_role(Role.LIGHT) == ()
