"""Tests of the plugin in a real Krita, installed from the zip, with a real server process and the embedded model."""

import hashlib
import itertools
import re

import numpy as np
import pytest
from psd_tools import PSDImage

from layerfusion.engine import formats
from layerfusion.engine.events import Finished
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.pipeline import LayerFusionPipeline
from layerfusion.engine.request import Generated, GenerationRequest
from layerfusion.server.cli.main import main

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

WIDTH, HEIGHT = 512, 384
STACK = [
    ("Background", "normal", True),
    ("Foreground", "normal", True),
    ("Shadow", "multiply", True),
    ("Light", "add", True),
    ("Blended", "normal", False),
]
FIRST, SECOND = "a red apple + a beach at sunset", "a red apple + a night sky with stars"


def said(facts, words):
    return any(words in text for text in facts["texts"])


def shape(layers):
    return [(layer["name"], layer["blend"], layer["visible"]) for layer in layers]


def digests(layers):
    return [layer["sha256"] for layer in layers]


def by_name(layers):
    return {layer["name"]: layer["sha256"] for layer in layers}


def test_every_scenario_ran_and_krita_ended_by_itself_without_a_script_error(session):
    _, report = session
    scenarios = {name: found for name, found in report.items() if isinstance(found, dict) and name != "first look"}
    assert list(scenarios) == report["names"]
    assert len(scenarios) == 68 or not report["all"]
    assert not {name: found["error"] for name, found in scenarios.items() if "error" in found}
    assert not {name: found["script errors"] for name, found in scenarios.items() if found["script errors"]}
    assert report["exit code"] == 0


def test_the_docker_starts_the_server(facts):
    found = facts("start_server")
    assert "No server is running" in found["offline"]
    assert "Starting the server…" in found["starting"]
    assert not found["can start another"]


def test_without_a_document_it_says_so(facts):
    assert said(facts("refuse_without_a_document"), "No document is open.")


def test_two_prompts_become_one_group_above_the_active_layer(facts):
    found = facts("draw_two_prompts")
    assert found["tree"] == ["Background", FIRST]
    assert shape(found["layers"]) == STACK
    assert found["layer list"] == ["Background", FIRST, [name for name, _, _ in STACK]]
    assert found["active"] == "Foreground", "the next button works on what is seen"
    assert said(found, "Drawn into “Sketch”.")
    assert said(found, "This demo model draws at"), "what must be known of the picture stays beside it"


def test_the_layers_are_what_the_engine_draws_byte_for_byte(facts):
    request = GenerationRequest(
        size=Size(WIDTH, HEIGHT),
        background=Generated(prompt="a beach at sunset"),
        foregrounds=(Generated(prompt="a red apple"),),
        seed=1234,
    )
    *_, finished = LayerFusionPipeline(find_model("tiny")).generate(request)
    assert isinstance(finished, Finished)
    drawn = []
    for layer in finished.stack:
        canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        assert layer.offset == (0, 0)
        canvas[: layer.size.height, : layer.size.width] = layer.pixels[..., [2, 1, 0, 3]]
        drawn.append((layer.name, hashlib.sha256(canvas.tobytes()).hexdigest()))
    assert drawn == [(layer["name"], layer["sha256"]) for layer in facts("draw_two_prompts")["layers"]]


def test_progress_shows_steps_time_left_and_a_small_picture(facts):
    found = facts("draw_two_prompts")
    steps = find_model("tiny").usual.steps
    assert any(re.fullmatch(rf"Drawing \d+ of {steps}( · .+ left)?", text) for text in found["progress"])
    assert found["previews"] == [[160, 120]]
    # 150 steps: the first of them never leaves less than a second, below which no time is said.
    assert any(re.fullmatch(r"Drawing \d+ of 150 · .+ left", text) for text in facts("cancel_a_job")["drawing"])


def test_the_next_button_works_on_what_is_seen(facts):
    found = facts("work_on_what_is_seen")
    assert found["after generate"] == [1, "Foreground"]
    assert found["after new background"] == [2, "Foreground"]
    assert found["same foreground"]
    assert found["after new foreground"] == [3, "Background"], "the counterpart of the active layer"
    assert found["background of the second"]
    assert found["after harmonise"] == [4, FIRST], "a group's counterpart is a group"
    assert found["foreground of the second"], "the selected group is hidden, so the one that is seen is worked on"


def test_a_new_group_is_one_row_although_a_layer_in_it_is_active(facts):
    found = facts("see_folded_groups")
    assert found["rows"] == [1, 2, 3]
    assert found["folded"] == [True, True]
    assert found["active"] == [[1, "Foreground"], [2, "Foreground"]]
    assert found["unfolded"] == 8, "the five layers of the group that the artist has unfolded"
    assert found["unfolded after"] == [False, True, 9]
    assert found["then"] == [3, "Background"]


def test_a_layer_that_the_artist_chose_meanwhile_stays_active(facts):
    found = facts("choose_another_layer_meanwhile")
    assert found["active"][1] == "Sketch"
    assert found["tree"] == ["Background", FIRST, "Sketch"]


def test_each_press_is_one_undo_entry(facts):
    found = facts("work_on_what_is_seen")
    assert [after - before for before, after in itertools.pairwise(found["entries"])] == [1] * 5, found["history"]
    assert (found["after undo"], found["after redo"]) == (5, 6)
    assert found["same after redo"]


def test_a_duplicated_group_is_a_group_and_nothing_lands_in_it(facts):
    found = facts("go_on_from_a_duplicated_group")
    stack = [name for name, _, _ in STACK]
    assert found["copy"] == f"Copy of {FIRST}"
    assert found["tree"] == [[], stack, stack, stack]
    assert found["same"], "the copy's own foreground is kept"
    renamed = [f"{name} of mine" for name in stack]
    assert found["tree with other names"].count(renamed) == 2, "nothing was added to the renamed copies"


def test_one_undo_removes_the_group_and_one_redo_restores_it(facts):
    found = facts("draw_two_prompts")
    assert found["after undo"] == ["Background"]
    assert found["after redo"] == found["tree"]
    assert found["layers after redo"] == found["layers"]
    assert found["layer list after redo"] == found["layer list"]


def test_the_document_remembers_how_the_group_was_made(facts):
    record = facts("draw_two_prompts")["record"]
    assert record["foreground"] == "a red apple"
    assert record["background"] == "a beach at sunset"
    assert (record["seed"], record["model"]) == (1234, "tiny")
    assert sorted(record["layers"].values()) == ["background", "blended", "foreground", "light", "shadow"]


def test_a_new_background_leaves_the_painted_and_moved_foreground_as_it_is(facts):
    found = facts("draw_another_background")
    assert found["tree"] == ["Background", FIRST, SECOND]
    assert shape(found["layers"]) == STACK
    assert found["copy"] == found["kept"] == by_name(found["layers"])["Foreground"]
    assert found["same beyond the canvas"]
    assert found["old after"] == found["old before"], "the artist's layers are never written to"
    assert by_name(found["layers"])["Background"] != by_name(found["old before"])["Background"]


def test_the_folded_prompts_are_part_of_the_job(facts):
    record = facts("draw_another_background")["record"]
    assert (record["negative"], record["blended"]) == ("people", "an apple at night")
    assert (record["foreground"], record["steps"]) == ("a red apple", 4)


def test_without_a_layer_to_keep_the_last_foreground_is_kept(facts):
    found = facts("keep_the_last_foreground")
    assert found["tree"] == ["Background", FIRST, SECOND, SECOND]
    assert found["same"]
    assert found["after undo"] == ["Background", FIRST, SECOND]


def test_a_new_foreground_stands_before_the_painted_background_as_it_is(facts):
    found = facts("draw_another_foreground")
    assert found["tree"] == [*found["after undo"], "a penguin + a night sky with stars"]
    assert shape(found["layers"]) == STACK
    assert found["old after"] == found["old before"], "the artist's layers are never written to"
    old, new = by_name(found["old before"]), by_name(found["layers"])
    assert new["Background"] == old["Background"]
    assert new["Foreground"] != old["Foreground"]
    assert (found["record"]["foreground"], found["record"]["background"]) == ("a penguin", "a night sky with stars")


def test_harmonising_after_a_move_draws_shadow_and_light_for_layers_that_stay_byte_for_byte(facts):
    found = facts("harmonise_after_a_move")
    assert found["tree"] == [*found["after undo"], FIRST]
    assert shape(found["layers"]) == STACK
    assert found["old after"] == found["old before"], "the artist's layers are never written to"
    old, new = by_name(found["old before"]), by_name(found["layers"])
    assert (new["Foreground"], new["Background"]) == (old["Foreground"], old["Background"])
    original, copy = found["beyond the canvas"]
    assert copy == original, "nothing that could be seen there is lost"
    assert new["Blended"] != old["Blended"]
    assert (new["Shadow"], new["Light"]) != (old["Shadow"], old["Light"])


def test_a_relit_foreground_is_another_before_the_same_background(facts):
    found = facts("relight_a_foreground")
    names = [name for name, _, _ in shape(found["layers"])]
    assert names == ["Background", "Foreground (relit)", "Shadow", "Light", "Blended"]
    assert found["old after"] == found["old before"], "the artist's layers are never written to"
    old, new = by_name(found["old before"]), by_name(found["layers"])
    assert new["Background"] == old["Background"]
    assert new["Foreground (relit)"] != old["Foreground"]


def test_the_strength_can_be_typed_and_is_not_rounded(facts):
    assert facts("relight_a_foreground")["strengths"] == [33, 33, 0.33]


def test_a_foreground_is_drawn_in_the_selection_as_far_as_it_lies_on_the_canvas(facts):
    found = facts("draw_in_the_selection")
    assert said({"texts": found["without"]}, "Nothing is selected on the canvas.")
    assert not found["busy"]
    left, top, right, bottom = found["solid"]
    assert 300 < left < right <= WIDTH and 180 < top < bottom < 360, found["solid"]


def test_the_background_changes_only_where_it_is_selected_whatever_the_shape(facts):
    found = facts("change_a_part_of_the_background")
    assert said({"texts": found["without"]}, "Nothing is selected on the canvas.")
    assert not found["busy"]
    assert found["tree"] == ["Background", FIRST, SECOND]
    assert found["layers"][1:] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert 600 < found["inside"] < 800, "an ellipse"
    assert found["erased inside"] and found["kept outside"]
    assert found["new inside"]
    assert found["same foreground"]


def test_another_foreground_has_a_prompt_a_seed_and_a_place_of_its_own(facts):
    found = facts("draw_two_foregrounds")
    assert said({"texts": found["without a selection"]}, "Nothing is selected on the canvas.")
    assert found["place"]
    assert found["tree"] == ["Background", "a red apple + a penguin + a beach at sunset"]
    assert [name.split()[0] for name in found["layers"]] == [
        "Background",
        "Foreground",
        "Foreground",
        "Shadow",
        "Light",
        "Blended",
    ]
    left, top, right, bottom = found["solid"]
    assert 145 <= left < right <= 245 and 135 <= top < bottom <= 245, "it is in its place"
    assert found["removed"] == [False, True]
    assert found["again"] == ["a penguin", "5", True]


def test_one_press_draws_several_pictures_into_one_group_with_an_undo_step_for_each(facts):
    found = facts("draw_two_pictures")
    assert found["tree"] == ["Background", SECOND]
    assert found["names"] == [f"1 · seed 1234 · {SECOND}", f"2 · seed 1235 · {SECOND}"]
    assert found["visible"] == [True, False]
    assert found["seeds"] == [1234, 1235]
    first, second = found["layers"]
    assert shape(first) == shape(second) == STACK
    assert digests(first) != digests(second)
    assert found["after undo"] == found["names"][:1]


def test_what_a_background_of_the_artists_lacks_comes_below_it_and_both_are_kept_as_one(facts):
    found = facts("keep_a_background_with_holes")
    assert found["tree"] == ["Background", "Lake", SECOND]
    below, *others = found["layers"]
    assert others == ["Lake", "Foreground", "Shadow", "Light", "Blended"], below
    assert found["same"]
    assert found["harmonised"] == others
    assert found["left as the lake"] and found["right as what was missing"]
    assert found["further documents"] == 0


@pytest.mark.parametrize("name", ["Sign", "Pair"])
def test_vector_layers_and_groups_are_kept_by_what_they_show(facts, name):
    found = facts("keep_layers_of_other_kinds")[name]
    assert not found["empty"]
    assert found["same"]
    assert found["kind"] == "paintlayer"
    assert found["tree"].index(name) + 1 == found["tree"].index(
        "a red apple + a night sky with stars", found["tree"].index(name)
    )


def test_a_copy_has_the_opacity_and_the_blending_mode_of_its_layer(facts):
    found = facts("keep_layers_of_other_kinds")["Faded"]
    assert (found["opacity"], found["blend"]) == (128, "multiply")


def test_an_empty_layer_is_refused_in_words(facts):
    assert said(facts("keep_layers_of_other_kinds")["Empty"], "The layer “Empty” is empty.")


def test_the_exported_psd_holds_the_layers(facts, session):
    folder, _ = session
    assert facts("export_a_psd")["layers"]
    psd = PSDImage.open(folder / "out.psd")
    modes = {"normal": "NORMAL", "multiply": "MULTIPLY", "linear_dodge": "ADD"}
    assert [layer.name.rstrip("\0") for layer in psd] == [name for name, _, _ in STACK]
    assert [layer.is_visible() for layer in psd] == [visible for _, _, visible in STACK]
    assert [modes[layer.blend_mode.name.lower()] for layer in psd] == [mode.upper() for _, mode, _ in STACK]
    for index, layer in enumerate(psd):
        bgra = np.frombuffer((folder / f"layer-{index}.bgra").read_bytes(), np.uint8).reshape(HEIGHT, WIDTH, 4)
        # psd-tools gives floats; Krita writes what a moved layer has beside the canvas too
        pixels = np.rint(layer.numpy() * 255).astype(np.uint8)
        sheet = np.zeros((3 * HEIGHT, 3 * WIDTH, 4), np.uint8)
        sheet[HEIGHT + layer.top : HEIGHT + layer.bottom, WIDTH + layer.left : WIDTH + layer.right] = pixels
        written = sheet[HEIGHT : 2 * HEIGHT, WIDTH : 2 * WIDTH]
        assert np.array_equal(written[..., 3], bgra[..., 3]), layer.name
        seen = bgra[..., 3] > 0
        assert np.array_equal(written[seen][:, :3], bgra[seen][:, 2::-1]), layer.name


def test_the_exported_psd_says_what_it_is(facts, session):
    folder, _ = session
    assert facts("export_a_psd")["group"]
    stack = formats.load(folder / "out.psd")
    assert stack.name == facts("export_a_psd")["group"]
    assert (stack.record.model, stack.record.tool.partition(" ")[0]) == ("tiny", "LayerFusion")
    assert stack.record.steps and stack.record.blended_prompt
    assert b"compositeWithTrainedAlgorithmicMedia" in (folder / "out.psd").read_bytes()


def test_the_exported_psd_is_drawn_again(facts, session):
    """The artist has painted on its foreground since; what is drawn again is what was drawn first."""
    folder, _ = session
    assert facts("export_a_psd")["group"] == FIRST
    main(["again", str(folder / "out.psd"), "--out", str(folder / "again.psd")])
    again = {layer.name: layer for layer in formats.load(folder / "again.psd")}
    for found in facts("draw_two_prompts")["layers"][:2]:
        layer = again[found["name"]]
        canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        (x, y), (height, width) = layer.offset, layer.pixels.shape[:2]
        canvas[y : y + height, x : x + width] = layer.pixels[..., [2, 1, 0, 3]]
        assert hashlib.sha256(canvas.tobytes()).hexdigest() == found["sha256"], found["name"]


def test_the_export_leaves_the_document_alone(facts):
    found = facts("export_a_psd")
    assert found["after"] == found["before"]
    assert said(found, "out.psd")


def test_another_profile_is_named(facts):
    assert said(
        facts("name_other_profiles"), "8-bit RGB with the profile “ClayRGB-elle-V4-srgbtrc.icc”; Krita converts"
    )


def test_cancel_ends_the_job_at_once_and_the_next_one_draws(facts):
    found = facts("cancel_a_job")
    assert said(found, "Cancelled.")
    assert not found["busy"]
    assert found["tree"] == found["before"]


def test_the_layers_go_where_the_button_was_pressed(facts):
    found = facts("switch_documents")
    assert found["first"] == ["Background", SECOND]
    assert found["second"] == ["Background"]
    assert said(found, "Drawn into “First”.")


def test_a_document_closed_meanwhile_is_a_message(facts):
    found = facts("close_the_document")
    assert said(found, "“Closed” was closed before its layers arrived.")
    before, after = found["other"]
    assert before == after


def test_a_place_deleted_meanwhile_is_the_top(facts):
    assert facts("delete_the_layer_below")["tree"] == ["Background", SECOND]


def test_a_killed_server_is_waited_for_krita_goes_on_and_the_next_one_draws_the_picture(facts):
    found = facts("kill_the_server")
    assert said(found, "Waiting for the server")
    assert "No server is running" in found["texts"]
    assert found["noticed after"] < 20, "at once, not when the server has not answered a ping"
    assert found["tree"] == ["Background"]
    assert found["tree after"] == ["Background", "Krita goes on"]
    assert SECOND in found["tree with the new server"]
