"""Tests of the settings dialog, the languages, styles and completions in a real Krita."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

FIRST = "a red apple + a beach at sunset"


def test_the_settings_say_in_words_what_is_wrong_with_a_server(facts):
    found = facts("try_servers_in_the_settings")
    assert found["here"].startswith("Connected to LayerFusion ")
    assert "Models: " in found["here"]
    assert found["no address"].startswith("“studio.example” is not the address of a server.\nWrite wss://")
    assert found["no token"].startswith("The token is missing.")
    assert found["nobody there"].startswith("No server answers at ws://127.0.0.1:9/.\nStart the server there")
    assert found["wrong token"].startswith("The server does not know this token.")
    assert found["no computer"].startswith("There is no computer named “nowhere.invalid”.")
    assert found["right"] == found["here"]
    assert found["while a server runs here"].startswith("A server is running on this computer.")
    assert found["still open"]
    assert found["runtime is the same"]
    assert not found["errors"]


def test_the_artist_decides_whether_files_hold_prompts(facts):
    found = facts("leave_prompts_out_of_files")
    assert found["True"] is True
    assert found["False"] is False
    assert found["forbidden"] == [False, False], "the variable has the last word"


def test_the_docker_and_the_layers_speak_the_artists_language(facts):
    found = facts("work_in_other_languages")
    assert found["prompts stay"] == ["a red apple", "a beach at sunset"]
    assert {"Generieren", "Neuer Hintergrund", "Harmonisieren", "PSD exportieren…"} <= set(found["buttons"])
    assert not {"Generate", "Again", "Relight", "Export PSD…"} & set(found["buttons"])
    assert "Bereit" in found["texts"]
    assert found["actions"] == ["LayerFusion: Generieren", "LayerFusion anzeigen"]
    assert found["all german"] == ["Hintergrund", "Vordergrund", "Schatten", "Licht", "Gesamtbild"]
    assert found["german layers"] == ["Hintergrund", "Foreground", "Schatten", "Licht", "Gesamtbild"]
    assert min(found["widths"]) > 200
    assert max(found["widths"]) <= 340, "words are cut off on a small screen"
    assert found["back"]
    assert not found["errors"]


def test_what_was_drawn_in_one_language_is_understood_in_the_others(facts):
    found = facts("work_in_other_languages")
    assert found["english group"] == ["Vordergrund: Foreground", "Hintergrund: Background"]
    assert found["japanese"] == ["前景: Vordergrund", "背景: Hintergrund"], "a copy in another document has no record"
    assert found["chinese"] == ["前景: Vordergrund", "背景: Hintergrund"]


def test_a_style_is_made_chosen_renamed_and_deleted_in_the_docker(facts):
    found = facts("draw_in_a_style")
    assert found["at first"] == [["No style"], "No style"]
    assert found["without a name"] == "The style has no name."
    assert found["wrong lora"].startswith("“<ink>” is no LoRA")
    assert found["made"] == [["No style", "Ink wash"], "Ink wash"]
    assert found["preset"] == "Fast"
    assert found["steps"] == ["auto (4)", "auto"], "a preset has a number of its own"
    assert found["group"] == FIRST
    assert found["model picture"], "what a model draws is shown beside it"
    assert found["own words"] == ["a red apple", "Ink wash"]
    assert found["asked for"] == ["a red apple, at night", "fast"]
    assert found["negative"] == "fog"
    assert found["again"] == ["a red apple, at night", "a red apple"], "the style is added once"
    assert found["renamed"] == [["No style", "Wash"], "Wash"]
    assert found["kept"] == found["renamed"]
    assert found["deleted"] == [["No style"], "No style"]
    assert not found["errors"]


def test_prompts_are_completed_and_earlier_ones_come_back(facts):
    found = facts("complete_a_prompt")
    assert found["offered"] and all(each.lower().startswith(("a re", "re")) for each in found["offered"])
    assert found["completed"] == found["offered"][0], "Enter is no new line here"
    assert "a red apple" in found["earlier"]
    assert found["used"] == "a red apple"
    assert not found["errors"]


def test_the_tab_key_goes_from_the_top_to_the_bottom(facts):
    places = facts("walk_through_the_fields_with_tab")["places"]
    assert len(places) > 12
    named = [place[1] for place in places]
    assert named[0].startswith("What is in the foreground")
    order = [next(i for i, each in enumerate(named) if each.startswith(words)) for words in ORDER]
    assert order == sorted(order), named


def test_icons_can_be_seen_in_light_and_dark_themes(facts):
    found = facts("work_in_a_light_theme")
    assert min(found["dark"]) > 128 and min(found["dark again"]) > 128
    assert max(found["light"]) < 128
    assert found["text stays"]
    assert found["history"] == 1
    assert not found["errors"]


ORDER = (
    "What is in the foreground",
    "Draw one more object",
    "What is in the background",
    "Keep the foreground",
    "Keep the background",
    "Keep foreground and background",
    "A style adds",
    "The same seed",
    "Draw foreground and background",
    "Write the selected group",
)


def test_the_server_starts_together_with_krita_if_the_artist_wants_it(started_together):
    found = started_together
    assert "Ready" in found["texts"]
    assert not found["can start another"]
    assert found["tree"] == ["Background", FIRST]
    assert found["ticked"] == [True, False]
