import numpy as np
import pytest

from engine.errors import InvalidRequest
from engine.geometry import Size
from engine.layers import Layer, Role
from engine.request import FusionSettings, Generated, GenerationRequest, HarmonySettings, Kept

PIXELS = np.full((8, 8, 4), 255, np.uint8)
KEPT = Kept(layer=Layer(name="apple", role=Role.FOREGROUND, pixels=PIXELS), prompt="a red apple")


def make(**values):
    background, foregrounds = Generated(prompt="a beach"), (Generated(prompt="an apple"),)
    return GenerationRequest(**{"size": Size(512, 512), "background": background, "foregrounds": foregrounds, **values})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"size": Size(63, 512)}, "63"),
        ({"size": Size(5000, 5000)}, "5000"),
        ({"foregrounds": ()}, "0 foregrounds"),
        ({"foregrounds": (Generated(prompt="a"),) * 7}, "7 foregrounds"),
        ({"background": KEPT}, "background is a kept layer"),
        ({"blended_prompt": "  "}, "empty"),
        ({"seed": -1}, "-1"),
        ({"seed": 2**53}, str(2**53)),
        ({"seed": None}, "without a seed"),
        ({"seed": True}, "True"),
        ({"steps": 0}, "0"),
        ({"steps": 151}, "151"),
        ({"steps": 2.5}, "2.5"),
        ({"guidance_scale": 0.5}, "0.5"),
        ({"guidance_scale": float("nan")}, "nan"),
        ({"guidance_rescale": 1.5}, "1.5"),
    ],
)
def test_values_that_cannot_be_drawn_are_named(wrong, named):
    with pytest.raises(InvalidRequest, match=named):
        make(**wrong)


@pytest.mark.parametrize(
    ("prompt", "named"), [("", "empty"), (" \n\t", "empty"), ("x" * 100_000, "100000 characters"), (5, "int")]
)
def test_prompts_that_say_nothing_or_too_much_are_refused(prompt, named):
    with pytest.raises(InvalidRequest, match=named):
        Generated(prompt=prompt)
    with pytest.raises(InvalidRequest, match=named):
        Kept(layer=KEPT.layer, prompt=prompt)


def test_only_a_negative_prompt_may_be_empty():
    assert Generated(prompt="an apple", negative_prompt="").negative_prompt == ""
    with pytest.raises(InvalidRequest, match="negative prompt has 2001"):
        Generated(prompt="an apple", negative_prompt="x" * 2001)


@pytest.mark.parametrize(
    ("name", "value"),
    [("decision_boundary", 0), ("prior", "never"), ("heads", "max"), ("share_strength", 1.1), ("smallest_grid", 0)],
)
def test_fusion_settings_are_checked(name, value):
    with pytest.raises(InvalidRequest, match=name.replace("_", " ")):
        FusionSettings(**{name: value})


def test_harmony_modes_are_listed_in_the_error():
    with pytest.raises(InvalidRequest, match="clean, exact"):
        HarmonySettings(mode="vivid")


def test_the_first_foreground_shares_the_background_noise_and_the_others_never_do():
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
