"""Notices in the artist's language: plugin and studio have every sentence that a server can say."""

import json
import re

import pytest

import studio_texts
from controller_harness import generate, greeting
from layerfusion.engine.notices import SENTENCES

WORD = "This model does not know the word “{word}”; try “{first}”."


@pytest.fixture
def translation(plugin):
    from krita_layerfusion import translation

    yield translation
    translation.use("en")


def told(wire, name, text="The English words.", **values):
    """A notice of one sentence, after which its event is the second of its job."""
    of = tuple(wire.SentenceValue(name=key, value=value) for key, value in values.items())
    return {"code": "unknown_words", "text": text, "sentences": (wire.Sentence(name=name, values=of),)}


def shown(online, wire, notice):
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=0))
    online.controller.receive(wire.Notice(job=job, seq=2, **notice))
    return online.view.notes[-1]


def test_plugin_and_studio_have_every_sentence_of_the_engine(plugin):
    """If this fails: give the sentence to both tables, and translate its text."""
    from krita_layerfusion import notice_words

    assert notice_words.SENTENCES == SENTENCES
    source = (studio_texts.STUDIO / "src/notice_words.ts").read_text("utf-8")
    found = re.findall(r'^  (\w+):\s+t\((".*")\),$', source, re.MULTILINE)
    assert {name: json.loads(text) for name, text in found} == SENTENCES


def test_a_notice_is_said_in_the_language_of_the_docker(online, wire, translation):
    notice = told(wire, "word_unknown_one_like_it", word="xylophone", first="a {drum}")
    assert shown(online, wire, notice) == "The English words."
    translation.use("de")
    assert shown(online, wire, notice) == "Dieses Modell kennt das Wort „xylophone“ nicht; versuchen Sie „a {drum}“."
    translation.use("ja")
    assert shown(online, wire, notice).startswith("このモデルは「xylophone」")


def test_several_sentences_are_one_notice(online, wire, translation):
    translation.use("de")
    first, second = (told(wire, name) for name in ("backdrop_not_grey", "inversion_for_older_model"))
    notice = {**first, "sentences": first["sentences"] + second["sentences"]}
    said = "Der Vordergrund wurde nicht vor einfarbigem Grau gezeichnet. Sie ist für Stable Diffusion 1 oder 2."
    assert shown(online, wire, notice) == said
    translation.use("ja")
    assert shown(online, wire, notice).endswith("ませんでした。これは Stable Diffusion 1 か 2 用です。")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("said_by_a_later_version", {}),
        ("word_unknown", {}),
        ("word_unknown", {"words": "xylophone"}),
        ("word_unknown", {"word": "xylophone", "first": "a drum"}),
    ],
)
def test_what_this_version_does_not_know_is_shown_as_the_server_says_it(online, wire, translation, name, values):
    translation.use("de")
    assert shown(online, wire, told(wire, name, **values)) == "The English words."


def test_an_older_server_sends_no_sentences(online, wire, translation):
    translation.use("de")
    online.controller.receive(greeting(wire, protocol=(1, 5)))
    assert shown(online, wire, {"code": "unknown_words", "text": "The English words."}) == "The English words."
