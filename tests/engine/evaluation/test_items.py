import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.evaluation.items import objects_of, prompt_set, scenes_of, stress_set
from layerfusion.engine.models.catalog.registry import find_model

WORDS = {
    "objects": ("a red apple", "an owl", "cherries"),
    "places": ("a beach", "a green forest"),
    "times (after a place)": ("at night", "at sunset"),
    "other scenes": ("a wooden table",),
}


def test_scenes_are_places_at_times_and_scenes_without_a_time():
    assert objects_of(WORDS) == ("a red apple", "an owl", "cherries")
    assert scenes_of(WORDS) == (
        "a beach at night",
        "a beach at sunset",
        "a green forest at night",
        "a green forest at sunset",
        "a wooden table",
    )


def test_the_list_is_fixed_and_a_longer_one_begins_with_a_shorter():
    assert prompt_set(WORDS, 30)[:7] == prompt_set(WORDS, 7)
    assert [item.seed for item in prompt_set(WORDS, 3)] == [1000, 1001, 1002]
    assert len({item.name for item in (*prompt_set(WORDS, 50), *stress_set(WORDS, 50))}) == 100


def test_objects_and_scenes_are_covered_evenly():
    items = prompt_set(WORDS, 15)
    for word in objects_of(WORDS):
        assert sum(item.object == word for item in items) == 5
    for scene in scenes_of(WORDS):
        assert sum(item.scene == scene for item in items) == 3
    assert len({(item.object, item.scene) for item in items}) == 15


@pytest.mark.parametrize("count", [1, 40])
def test_the_other_background_differs(count):
    for item in (*prompt_set(WORDS, count), *stress_set(WORDS, count)):
        assert item.other_scene != item.scene
        assert item.other_seed != item.seed


def test_the_classifier_knows_objects_without_their_article():
    assert [item.thing for item in prompt_set(WORDS, 3)] == ["red apple", "owl", "cherries"]


def test_the_stress_set_has_textured_scenes_only():
    assert {item.scene for item in stress_set(WORDS, 20)} == {"a green forest at night", "a green forest at sunset"}


def test_the_embedded_models_vocabulary_gives_a_hundred_different_pairs():
    items = prompt_set(find_model("tiny").vocabulary, 100)
    assert len({(item.object, item.scene) for item in items}) == 100
    assert len({item.scene for item in items}) > 40


@pytest.mark.parametrize(
    ("vocabulary", "count", "named"),
    [({}, 5, "objects"), ({"objects": ("a dog",)}, 5, "scenes"), (WORDS, 0, "number of pairs is 0")],
)
def test_invalid_vocabularies_and_counts_are_refused(vocabulary, count, named):
    with pytest.raises(InvalidRequest, match=named):
        prompt_set(vocabulary, count)
