"""A test in a real Krita of going on with a picture that has several foregrounds."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

APPLE, PENGUIN = "a red apple", "a penguin"


def test_no_button_leaves_a_foreground_behind(facts):
    found = facts("go_on_with_two_foregrounds")
    assert found["drawn"] == [["generated", APPLE], ["generated", PENGUIN]]
    kept = [["kept", APPLE], ["kept", PENGUIN]]
    assert found["asked for"] == [kept, kept, [["relit", APPLE], ["kept", PENGUIN]]]
    assert found["same"] == [[True, True], [True, True], [False, True]]
    assert found["tree"][1:] == [f"{APPLE} + {PENGUIN} + a beach at sunset"] * 4


def test_the_docker_names_both_and_tells_how_each_was_drawn(facts):
    text, hint = facts("go_on_with_two_foregrounds")["docker"]
    assert text == "Foreground 1, Foreground 2"
    assert f"Foreground 1\nPrompt: {APPLE}" in hint and f"Foreground 2\nPrompt: {PENGUIN}" in hint


def test_the_counterpart_of_the_active_foreground_becomes_active(facts):
    assert facts("go_on_with_two_foregrounds")["active"] == ["Foreground 1", "Foreground 1", "Foreground 1 (relit)"]


def test_live_follows_each_of_them(facts):
    found = facts("go_on_with_two_foregrounds")
    assert any("Shadow and Light follow" in text for text in found["texts"])
    assert found["shadow at the end"]
