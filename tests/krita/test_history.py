"""Tests in a real Krita of looking back at earlier pictures, and of going on from them."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(1600)]

FIRST, SECOND = "a red apple + a beach at sunset", "a red apple + a night sky with stars"


def test_a_click_shows_an_earlier_picture_and_hides_the_others(facts):
    found = facts("look_at_an_earlier_picture")
    newest, oldest = found["texts"]
    assert "Background: a night sky with stars" in newest and "Background: a beach at sunset" in oldest
    assert "seed " in newest and "tiny" in newest and "2 steps" in newest
    assert found["visible"] == [True, False]
    assert found["active in the first"] and found["active"] == "Background", "the counterpart of the active layer"
    assert found["went on from the first"]
    assert found["visible after"] == [False, True, False]
    assert found["tree"] == ["Background", FIRST, SECOND], "no layer was added by looking"
    assert found["tree after"] == ["Background", FIRST, SECOND, SECOND]
    assert found["entries after"] == found["entries"] + 1, "only the new background can be undone"


def test_a_deleted_picture_comes_back_byte_for_byte_after_the_document_was_opened_again(facts):
    found = facts("put_a_deleted_picture_back")
    assert found["tree"] == ["Background", SECOND]
    assert "was deleted" in found["texts"][1] and "was deleted" not in found["texts"][0]
    assert found["tree after"] == ["Background", SECOND, FIRST]
    assert found["same"] == 1, "all pixels, blending modes and opacities are those of before"
    assert found["entries"] == 1
    assert len(found["texts after"]) == 2, "it is the same picture, not a new one"
    assert not any("was deleted" in text for text in found["texts after"])


def test_a_duplicate_stands_for_its_original(facts):
    found = facts("find_a_duplicate_in_the_history")
    assert found["tree"] == ["Background", f"Copy of {FIRST}", SECOND]
    assert found["visible"] == [True, False]
    assert len(found["texts"]) == 2 and not any("was deleted" in text for text in found["texts"])


def test_the_history_gives_prompts_seeds_and_pictures_again(facts):
    found = facts("go_on_from_the_history")
    assert found["menu"][0] == "Show this picture"
    oldest = found["texts"][-1]
    assert f"seed {found['seed'][0]} " in oldest and found["seed"][1] == "a night sky with stars", "only the seed"
    assert found["prompts"] == ["a red apple", "a beach at sunset"]
    assert found["again is the same"]
    assert found["another is another"]
    assert len(found["texts"]) == 4
    assert found["texts after"] == found["texts"][1:]
    assert len(found["tree"]) == 5, "the layers of a removed picture stay"
