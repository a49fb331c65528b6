"""Tests in a real Krita of looking back at earlier pictures, and of going on from them."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

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


def test_a_kept_layer_that_is_put_back_has_its_masks_and_its_blending_mode(facts):
    found = facts("put_a_picture_with_a_mask_back")
    assert found["same"][:3] == [True, True, True], "layers, the mask's pixels, and what they show"
    assert found["masks"] == 1
    assert found["entries"] == 1
    assert found["documents"] == 0
    assert found["folded"] and found["active"], "it is one row, as the groups of several pictures are"


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


def test_several_pictures_are_one_group_of_folded_rows_of_which_one_is_seen(facts):
    found = facts("choose_among_variants")
    assert found["tree"] == ["Background", FIRST]
    assert [name.split(" · ")[0] for name in found["names"]] == ["1", "2", "3"]
    assert all(" · seed " in name for name in found["names"])
    assert found["rows"] == 5, "the paper, the set and its three pictures"
    assert found["entries"] == 3
    assert found["visible"] == [True, False, False]
    assert found["active"] == found["names"][0]
    assert "1 of 3" in found["words"]


def test_one_pages_through_them_and_goes_on_from_the_one_that_is_seen(facts):
    found = facts("choose_among_variants")
    shown = [found[name].index(True) for name in ("next", "first", "last", "second")]
    assert shown == [1, 0, 2, 1]
    assert all(sum(found[name]) == 1 for name in ("next", "first", "last", "second"))
    assert found["paged"] == [0, found["names"][1], True], "paging cannot be undone, because it changes nothing"
    assert found["tree with a new background"] == ["Background", FIRST, FIRST], "it is above the set, not in it"
    assert found["of the second"]


def test_one_of_them_is_kept_and_the_others_stay_in_the_history(facts):
    found = facts("choose_among_variants")
    assert found["kept"] == ["Background", found["names"][1]]
    assert found["active at the end"] == found["names"][1]
    assert found["same"]
    assert any("Kept this one." in text for text in found["said"])
    assert found["entries to keep"] == 1
    _, third, second, first = found["history"]
    assert "deleted" in third and "deleted" not in second and "deleted" in first
    assert not found["row"] and not found["one to keep"]
    assert found["with the third again"] == [found["names"][1], found["names"][2]]


def test_the_selected_picture_is_drawn_again_with_another_prompt_and_the_layer_that_it_kept(facts):
    found = facts("draw_the_selected_picture_again")
    assert found["tree"] == ["Background", FIRST, FIRST, SECOND]
    assert found["same foreground"] and not found["same background"]
    assert "Prompt: a red apple\nseed " in found["hover"] and "tiny" in found["hover"]
    assert "Prompt: a beach at sunset" in found["behind"]
