"""Hints about words that the embedded model does not know."""

from pathlib import Path

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.models.catalog.vocabulary import hint, nearest, unknown_words
from layerfusion.engine.notices import sentence
from layerfusion.engine.training.data.related import RELATED
from layerfusion.engine.training.data.vocabulary import SECOND, TIMES, with_article

KNOWN = {"objects": ("a dog", "a red apple", "an owl"), "places": ("a beach", "the sea floor"), "times": ("at sunset",)}
NEAR = {"a dog": "puppy wolf", "a beach": "coast"}


def test_unknown_words_are_those_in_no_phrase(subtests):
    for prompt, unknown in [
        ("a red apple on a beach at sunset", []),
        ("Two dogs, and an OWL", ["two"]),
        ("a Xylophone in the sea", ["xylophone"]),
        ("dragon dragon dragon", ["dragon"]),
        ("ein Hündchen 42", ["ein", "hündchen"]),
        ("", []),
    ]:
        with subtests.test(prompt=prompt, unknown=unknown):
            assert unknown_words(KNOWN, prompt) == unknown


def test_without_a_vocabulary_no_word_is_unknown():
    assert hint({}, {}, ["a xylophone"]) == ()


def test_related_phrases_come_before_similar_spellings():
    assert nearest(KNOWN, NEAR, "puppy") == ["a dog"]
    assert nearest(KNOWN, NEAR, "wolves"[:-3] + "f") == ["a dog"]
    assert nearest(KNOWN, NEAR, "beech") == ["a beach"]
    assert nearest(KNOWN, NEAR, "xylophone") == []


def test_a_hint_names_the_word_and_similar_phrases():
    puppy, coast = hint(KNOWN, NEAR, ["a puppy", "the coast at sunset", "a puppy"])
    assert puppy.english == "This model does not know the word “puppy”; try “a dog”."
    assert coast.english == "This model does not know the word “coast”; try “a beach”."


def test_a_hint_lists_up_to_three_phrases_in_a_sentence_of_its_own():
    dogs = {f"a {colour} dog": "puppy" for colour in ("red", "green", "blue", "grey")}
    told = [hint(KNOWN, dict(list(dogs.items())[:count]), ["a puppy"])[0].english for count in range(5)]
    assert told[0] == "This model does not know the word “puppy”."
    assert told[2].endswith("; try “a red dog” or “a green dog”.")
    assert told[3] == told[4] == told[2][:-1] + " or “a blue dog”."


def test_a_long_prompt_gives_a_short_hint():
    assert hint(KNOWN, NEAR, [" ".join(f"word{chr(97 + index)}" for index in range(26))]) == tuple(
        sentence("word_unknown", word=f"word{letter}") for letter in "abc"
    )


def test_related_words_are_related_to_phrases_the_model_is_trained_on():
    times = {time for captions in TIMES.values() for time in captions}
    objects = {with_article(name) for name in SECOND.names(held_out=True)}
    assert set(RELATED) <= objects | set(SECOND.backgrounds) | set(SECOND.places) | times


def test_what_the_embedded_model_knows_is_no_unknown_word_with_a_substitute():
    spec = find_model("tiny")
    assert set(spec.related) <= {phrase for phrases in spec.vocabulary.values() for phrase in phrases}
    for words in spec.related.values():
        assert unknown_words(spec.vocabulary, words) == words.split()


def test_the_pages_say_how_much_the_embedded_model_knows(subtests):
    spec = find_model("tiny")
    known = {kind.partition(" (")[0]: len(phrases) for kind, phrases in spec.vocabulary.items()}
    scenes = known["places"] * known["times"] + known["other scenes"]
    root = Path(__file__).parents[4]
    for page in ("README.md", "engine/models/tiny/README.md"):
        text = " ".join((root / page).read_text("utf-8").split())
        for count in (f"{known['objects']} objects", f"{scenes} scenes"):
            with subtests.test(page=page, count=count):
                assert count in text
    assert f"{known['objects']} objects" in " ".join(spec.about)


def test_the_embedded_model_names_unknown_words():
    spec = find_model("tiny")
    codes = [notice.code for notice in spec.notices(Size(128, 128), ["a red apple", "a beach at sunset"])]
    assert codes == ["demo_model"]
    unknown = spec.notices(Size(128, 128), ["a xylophone", "a beach at sunset"])[1]
    assert unknown.code == "unknown_words"
    assert "“xylophone”" in unknown.text
