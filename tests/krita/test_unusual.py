"""Tests in a real Krita with documents and layers that are not plain."""

import pytest

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

FIRST = "a red apple + a beach at sunset"


def said(texts, words):
    return any(words in text for text in texts)


def test_a_kept_copy_has_opacity_blending_mode_and_masks_and_nobody_asks(facts):
    found = facts("keep_what_a_layer_has")
    assert found["masks"] == [["transparencymask"]] * 2
    assert found["look"] == [[128, "screen"]] * 2
    assert found["same pixels"] and found["same effect"]
    assert said(found["texts"], "Drawn into “Looks”.")
    assert found["entries"].count("Add Layer") >= 1


@pytest.mark.parametrize(
    ("name", "kind", "pixels"),
    [("File", "filelayer", 60 * 40), ("Clone", "clonelayer", 50 * 50), ("Fill", "filllayer", 30 * 60)],
)
def test_layers_that_refer_to_something_are_kept_by_what_they_show(facts, name, kind, pixels):
    found = facts("keep_layers_that_refer_to_something")[name]
    assert (found["solid"], found["still"]) == (pixels, kind)
    assert found["same"] and found["kind"] == "paintlayer", "it would change with what it refers to"


def test_an_animated_layer_is_kept_as_it_is_now(facts):
    found = facts("keep_an_animated_layer")
    assert found["frames"] == [0, 5], "the artist's own layer is as it was"
    assert found["animated"] == [True, False]
    assert found["same"] and found["middle"] == "00ff00ff"
    assert found["at frame 0"]
    assert said(found["texts"], "“Cat” is animated; it is kept as it is at frame 5.")


@pytest.mark.parametrize(
    ("name", "words", "colours"),
    [
        ("deep", "16-bit RGB", ["RGBA", "U16"]),
        ("float", "32-bit float RGB", ["RGBA", "F32"]),
        ("grey", "8-bit grayscale", ["GRAYA", "U8"]),
        ("print", "8-bit CMYK", ["CMYKA", "U8"]),
    ],
)
def test_krita_converts_to_the_colours_of_the_document(facts, name, words, colours):
    found = facts("draw_in_other_colours")[name]
    assert said(found["texts"], f"“{name}” is {words}")
    assert said(found["texts"], "Krita converts the layers")
    assert found["layers"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert found["colours"] == colours
    assert found["painted"] == [True, True]
    assert found["shown"] == ["Background", "Foreground", *(["Shadow", "Light"] if name != "print" else [])]
    assert max(found["middle"]) > 8, "the sky is not black"
    assert found["entries"] == 1
    assert found["same"], "a kept layer has not been through 8 bits"


def test_a_canvas_that_is_too_large_is_drawn_smaller_and_enlarged(facts):
    found = facts("draw_on_a_large_canvas")
    assert found["bounds"] == [0, 0, 4400, 1104]
    assert found["blends"] == ["normal", "normal", "multiply", "add", "normal"]
    assert found["foreground"]
    assert said(found["texts"], "it draws 4096x1027 px, and Krita enlarges them.")
    assert found["same"], "a kept layer keeps its own pixels"
    assert found["harmonised"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert found["same again"] == [True, True]


def test_a_picture_finds_a_document_that_was_changed_meanwhile(facts):
    found = facts("change_the_document_meanwhile")
    assert [each["added"] for each in found.values() if isinstance(each, dict)] == [1, 1, 1]
    assert found["scaled"]["size"] == [256, 256]
    assert said(found["scaled"]["texts"], "The document was scaled meanwhile, and so were the layers.")
    assert found["cropped"]["size"] == [256, 256]
    assert said(found["cropped"]["texts"], "The size of the canvas was changed meanwhile")
    assert (found["converted"]["size"], found["converted"]["depth"]) == ([200, 100], "U16")


def test_a_result_that_cannot_be_seen_says_why(facts):
    found = facts("land_where_nothing_is_seen")
    assert said(found["covered"], "They cannot be seen, because “Cover” covers them.")
    assert found["tree"] == ["Background", FIRST, "Cover"]
    assert said(found["hidden"], "the group “Sketches” around them is hidden")
    assert found["shown"]
    assert found["inside"] == ["Sketch", FIRST]


def test_prompts_live_in_the_document(facts):
    found = facts("find_the_prompts_again")
    assert found["second"] == ["a red car", "a forest"], "a new document starts with what was there"
    assert found["first again"] == ["a blue bird", "a forest"]
    assert found["of the group"] == ["a blue bird", "a forest"]
    assert not found["still offered"]
    assert found["second again"] == ["a red car", "a forest"]
    assert found["reopened"] == ["a blue bird", "the moon at night"]
    assert found["saved"] == "the moon at night"


def test_an_export_replaces_nothing_unasked_and_starts_beside_the_document(facts):
    found = facts("export_without_replacing")
    assert found["directory"] == "art"
    assert found["suggested"] == f"{FIRST}.psd"
    assert len(found["asked"]) == 1 and "picture.psd" in found["asked"][0]
    assert found["older"] == "an older export"
    assert found["files"] == ["art.kra", "picture.psd"]
