"""What the server says in words, in the artist's language: by the codes of the protocol."""

import re
from importlib import resources

import pytest

import studio_texts
from controller_harness import generate
from layerfusion.server import protocol

PAGE = (resources.files(protocol) / "PROTOCOL.md").read_text("utf-8")
CODES = {
    code
    for cell in re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \| (?:refused|failed|upload_refused|fetch_failed|style_failed|delete_failed)",
        PAGE,
        re.MULTILINE,
    )
    for code in re.findall(r"`(\w+)`", cell)
} | {"unreadable_file"}
"""The codes of the table of errors, and that of `read_failed`."""


@pytest.fixture
def words(plugin):
    from krita_layerfusion import server_words, translation

    yield server_words
    translation.use("en")


def test_every_error_of_the_protocol_has_words_in_plugin_and_studio(words):
    assert len(CODES) > 30
    assert words.ERRORS.keys() == CODES
    studio = (studio_texts.STUDIO / "src/server_words.ts").read_text("utf-8")
    assert set(re.findall(r"^  (\w+): (?:\[|MIS)", studio, re.MULTILINE)) == CODES
    said = {text for message, hint, _ in words.ERRORS.values() for text in (message, hint)} - {""}
    assert {text for text in said if f't("{text}")' not in studio} == set()


def test_an_artist_who_reads_english_gets_the_servers_own_words(words, wire):
    problem = wire.FetchFailed(
        job="2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901", code="queue_full", message="9 wait.", hint=""
    )
    assert words.told(problem) == ("9 wait.", "")


def test_others_get_a_translation_and_what_only_the_server_knows(online, wire, words):
    from krita_layerfusion import translation

    translation.use("de")
    job = generate(online).job
    online.controller.receive(wire.Accepted(job=job, position=0))
    failed = {"job": job, "seq": 1, "hint": "Turn off other programs."}
    online.controller.receive(wire.Failed(code="out_of_memory", message="It needs 9 GB.", **failed))
    assert online.view.told.pop() == (
        "warn",
        "Das Bild passt nicht in den Speicher des Computers, auf dem der Server läuft.",
        "Verkleinern Sie es, oder zeichnen Sie weniger Vordergründe auf einmal.",
    )
    job = generate(online).job
    online.controller.receive(
        wire.Failed(job=job, seq=0, code="invalid_request", message="guidance is 99.", hint="Use 1-30.")
    )
    assert online.view.told.pop() == (
        "warn",
        "Das Bild lässt sich mit diesen Werten nicht zeichnen.",
        "Der Server sagt: guidance is 99. Use 1-30.",
    )


def test_a_code_of_a_later_version_is_shown_as_the_server_says_it(online, wire, words):
    from krita_layerfusion import translation

    translation.use("ja")
    job = generate(online).job
    online.controller.receive(wire.Failed(job=job, seq=0, code="too_windy", message="Too windy.", hint="Wait."))
    assert online.view.told == [("warn", "Too windy.", "Wait.")]
