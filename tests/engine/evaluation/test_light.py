import numpy as np
import pytest

from layerfusion.engine.evaluation import light, measures
from layerfusion.engine.evaluation.items import prompt_set, scenes_of
from layerfusion.engine.evaluation.metrics import Truth, shadow_metrics, tone_metrics
from layerfusion.engine.evaluation.systems import Drawing
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.training.data.triplets import TINTED

SIDE = 128


def opaque(colour) -> np.ndarray:
    picture = np.full((SIDE, SIDE, 4), 255, np.uint8)
    picture[..., :3] = colour
    return picture


def box(colour=(200, 100, 60)) -> np.ndarray:
    picture = np.zeros((SIDE, SIDE, 4), np.uint8)
    picture[50:100, 40:90] = (*colour, 255)
    return picture


@pytest.mark.parametrize(
    "scene",
    ["a beach at sunset", "snowy mountains at sunrise", "a green meadow under a blue sky", "a room with a blue wall"],
)
def test_the_light_of_scenes_is_known(scene):
    assert light.light_of(scene) is not None


def test_every_scene_of_the_embedded_models_vocabulary_has_a_known_light():
    assert [scene for scene in scenes_of(find_model("tiny").vocabulary) if light.light_of(scene) is None] == []


def test_a_scene_the_data_does_not_have_has_no_known_light():
    assert light.light_of("a harbour at dawn") is None


def test_sunset_is_warm_and_night_is_blue_and_dark():
    sunset, night = (
        light.tint_of(found) for at in ("sunset", "night") if (found := light.light_of(f"a beach at {at}"))
    )
    assert sunset[0] > 1 > sunset[2]
    assert night.max() < 1
    assert night[2] > night[0]


def test_objects_take_on_part_of_the_tint():
    found = light.light_of("a beach at sunset")
    assert found is not None
    assert light.tint_of(found) == pytest.approx(1 - TINTED + TINTED * np.array(found.tint))


def test_floating_objects_cast_no_shadow():
    assert light.floats("balloon") or light.floats("blue balloon")
    assert not light.floats("dog")
    assert not light.floats("zeppelin")


def test_the_datas_shadow_darkens_the_ground_at_the_feet():
    found = light.light_of("a green meadow on a sunny day")
    assert found is not None
    ground = opaque(180)
    shaded = light.shaded(ground, measures.alpha_of(box()), found)
    assert measures.shadow(shaded, ground, measures.alpha_of(box())) > 0.1
    assert (shaded[:30] == ground[:30]).all()
    assert (shaded[..., 3] == 255).all()


# ---- the truth, measured


def truth(scene: str) -> Truth:
    (item, *_) = prompt_set(find_model("tiny").vocabulary, 1)
    return Truth.of(item, known=True, scene=scene)


def test_an_image_with_the_datas_light_has_gain_one():
    here = truth("a beach at sunset")
    assert here.light is not None
    tint = light.tint_of(here.light)
    own, ground = box(), opaque(150)
    lit = own.copy()
    lit[..., :3] = np.rint(own[..., :3] * tint).clip(0, 255)
    alpha = measures.alpha_of(own)
    shaded = measures.pasted(light.shaded(ground, alpha, here.light), lit)
    alone = Drawing(own, ground, measures.pasted(ground, own))

    tone = tone_metrics(shaded, alpha, alone, here)
    assert tone["tone_along"] / tone["tone_data"] == pytest.approx(1, abs=0.05)
    assert tone["tone_cosine"] > 0.99
    shadow = shadow_metrics(shaded, ground, alpha, here)
    assert shadow["shadow_along"] / shadow["shadow_square"] == pytest.approx(1, abs=0.02)
    assert shadow["shadow_error"] < 0.01


def test_pasted_layers_have_gain_zero():
    here = truth("a beach at sunset")
    own, ground = box(), opaque(150)
    flat, alpha = measures.pasted(ground, own), measures.alpha_of(own)
    alone = Drawing(own, ground, flat)
    tone, shadow = tone_metrics(flat, alpha, alone, here), shadow_metrics(flat, ground, alpha, here)
    assert tone["tone_along"] == pytest.approx(0)
    assert tone["tone_cosine"] == 0
    assert shadow["shadow"] == pytest.approx(0)
    assert shadow["shadow_error"] == pytest.approx(shadow["shadow_data"])


def test_white_and_unknown_light_give_no_tone_metrics():
    own = box()
    alone = Drawing(own, opaque(150), opaque(150))
    for here in (truth("a red studio background"), Truth(None, casts=True)):
        assert tone_metrics(opaque(150), measures.alpha_of(own), alone, here) == {}


def test_floating_objects_give_no_shadow_metrics():
    here = truth("a beach at sunset")
    assert shadow_metrics(opaque(150), opaque(150), measures.alpha_of(box()), Truth(here.light, casts=False)) == {}
