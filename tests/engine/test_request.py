import numpy as np
import pytest

from layerfusion.engine.errors import InvalidLayer, InvalidRequest
from layerfusion.engine.image.geometry import Box, Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept, Relit

PIXELS = np.full((8, 8, 4), 255, np.uint8)
KEPT = Kept(layer=Layer(name="apple", role=Role.FOREGROUND, pixels=PIXELS), prompt="a red apple")


def make(**values):
    background, foregrounds = Generated(prompt="a beach"), (Generated(prompt="an apple"),)
    return GenerationRequest(**{"size": Size(512, 512), "background": background, "foregrounds": foregrounds, **values})


def test_values_that_cannot_be_drawn_are_named_in_the_error(subtests):
    for wrong, named in [
        ({"size": Size(63, 512)}, "63"),
        ({"size": Size(5000, 5000)}, "5000"),
        ({"foregrounds": ()}, "0 foregrounds"),
        ({"foregrounds": (Generated(prompt="a"),) * 7}, "7 foregrounds"),
        ({"background": Generated(prompt="a", box=Box(0, 0, 32, 32))}, "background has the box 0,0,32x32"),
        ({"foregrounds": (Generated(prompt="a", box=Box(500, 0, 32, 32)),)}, "box 500,0,32x32 of foreground 1"),
        ({"blended_strength": 1.5}, "strength of the blended picture is 1.5"),
        ({"blended_strength": 0.5}, "a layer is to be drawn"),
        ({"blended_prompt": "  "}, "empty"),
        ({"seed": -1}, "-1"),
        ({"seed": 2**53}, str(2**53)),
        ({"seed": None}, "seed is None"),
        ({"seed": True}, "True"),
        ({"steps": 0}, "0"),
        ({"steps": 151}, "151"),
        ({"steps": 2.5}, "2.5"),
        ({"guidance_scale": 0.5}, "0.5"),
        ({"guidance_scale": float("nan")}, "nan"),
        ({"guidance_rescale": 1.5}, "1.5"),
    ]:
        with subtests.test(wrong=wrong, named=named), pytest.raises(InvalidRequest, match=named):
            make(**wrong)


def test_blank_and_overlong_prompts_are_refused(subtests):
    for prompt, named in [("", "empty"), (" \n\t", "empty"), ("x" * 100_000, "100000 characters"), (5, "int")]:
        with subtests.test(prompt=prompt, named=named):
            with pytest.raises(InvalidRequest, match=named):
                Generated(prompt=prompt)
            for source in (Kept, Relit):
                with pytest.raises(InvalidRequest, match=named):
                    source(layer=KEPT.layer, prompt=prompt)


def test_only_a_negative_prompt_may_be_empty():
    assert Generated(prompt="an apple", negative_prompt="").negative_prompt == ""
    with pytest.raises(InvalidRequest, match="negative prompt has 2001"):
        Generated(prompt="an apple", negative_prompt="x" * 2001)


def test_only_the_first_foreground_can_share_the_backgrounds_noise():
    request = make(foregrounds=(Generated(prompt="a"),) * 4, seed=7)
    seeds = [request.foreground_seed(index, "shared") for index in range(4)]
    assert seeds[0] == request.background_seed == 7
    assert len(set(seeds)) == 4
    assert len({request.background_seed, *(request.foreground_seed(index, "independent") for index in range(4))}) == 5


def test_a_layer_with_a_seed_of_its_own_keeps_it_whatever_the_job_has():
    sources = (Generated(prompt="a", seed=3), Generated(prompt="b"))
    first, second = (make(seed=seed, foregrounds=sources) for seed in (1, 2))
    assert first.foreground_seed(0, "shared") == second.foreground_seed(0, "shared") == 3
    assert first.foreground_seed(1, "shared") != second.foreground_seed(1, "shared")
    assert make(seed=1, background=Generated(prompt="b", seed=9)).background_seed == 9


def test_derived_seeds_are_the_same_on_every_machine():
    assert make(seed=0).foreground_seed(0, "independent") == 254_425_481_113_040


def layer(pixels, name="apple"):
    return Layer(name=name, role=Role.FOREGROUND, pixels=pixels)


@pytest.mark.parametrize("source", [Kept, Relit])
@pytest.mark.parametrize(
    ("pixels", "named"),
    [
        pytest.param(np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)", id="no alpha"),
        pytest.param(np.full((8, 8, 4), np.nan, np.float32), "float32", id="not a number"),
        pytest.param(np.zeros((0, 8, 4), np.uint8), "no pixels", id="empty"),
        pytest.param(np.zeros((8, 8, 4), np.uint8), "transparent all over", id="all transparent"),
        pytest.param(np.full((1, 1, 4), 255, np.uint8), "1x1", id="one pixel"),
        pytest.param(np.full((2, 20_000, 4), 255, np.uint8), "20000x2", id="far too long"),
    ],
)
def test_unusable_layers_are_refused(source, pixels, named):
    with pytest.raises(InvalidLayer, match=named) as refused:
        source(layer=layer(pixels), prompt="a red apple")
    assert "apple" in refused.value.message
    assert refused.value.hint


def test_strengths_of_relit_layers_lie_between_0_and_1(subtests):
    for strength in [-0.1, 1.1, float("nan"), "much", True]:
        with subtests.test(strength=strength), pytest.raises(InvalidRequest, match="strength of the relit layer"):
            Relit(layer=KEPT.layer, prompt="a red apple", strength=strength)


def test_boxes_are_whole_pixels_and_large_enough_to_draw_in(subtests):
    for values in [(-1, 0, 32, 32), (0, 0, 15, 32), (0, 0, 32, 0), (0.5, 0, 32, 32)]:
        with subtests.test(values=values), pytest.raises(InvalidRequest, match="The box's"):
            Box(*values)


def test_a_picture_of_kept_and_relit_layers_can_be_harmonised_again():
    relit = Relit(layer=KEPT.layer, prompt="a beach", seed=8)
    request = make(background=relit, foregrounds=(KEPT,), blended_strength=0.4)
    assert request.composable
    assert request.background_seed == 8
    assert not make(background=relit).composable


@pytest.mark.parametrize("source", [Kept, Relit])
@pytest.mark.parametrize("offset", [(64, 0), (0, -3), (-2, 5), (9000, 9000)])
def test_a_layer_of_which_nothing_lies_on_the_canvas_is_refused(source, offset):
    """Its transparent right column does not count."""
    pixels = np.full((3, 3, 4), 200, np.uint8)
    pixels[:, 2] = 0
    layer = Layer(name="hat", role=Role.FOREGROUND, pixels=pixels, offset=offset)
    for place in ("background", "foregrounds"):
        values = {"size": Size(64, 64), "background": "a beach", "foregrounds": "a dog"}
        with pytest.raises(InvalidRequest, match=rf"“hat”.*3x3 at {offset[0]},{offset[1]}.*64x64") as refused:
            GenerationRequest(**{**values, place: source(layer, "a hat")})
        assert refused.value.hint
