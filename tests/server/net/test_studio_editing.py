"""Editing in the studio in a real Chromium: moving, scaling, keeping, redrawing, boxes, undo."""

from dataclasses import replace

import numpy as np
import psd_tools
import pytest

import chromium
import scripted
import studio_page
from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.resampling import resize
from studio_editing import (
    SCRIPT,
    choose,
    detail,
    drag,
    draw,
    follow_off,
    key_of,
    keys,
    layers_of,
    picture_offset,
    select,
    together,
    write,
)
from studio_page import SIDE, assert_same, canvas, names, newest, one, spoken, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


def test_a_foreground_is_moved_and_scaled_with_the_keyboard_by_the_engines_resampling(driver, server, picture):
    from selenium.webdriver.common.keys import Keys

    follow_off(driver)
    select(driver, "Layer 1")
    keys(driver, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, "-")
    side = round(SIDE / 1.05)
    left, top = picture_offset(1)
    middle = (left + 2 + SIDE / 2, top + 1 + SIDE / 2)
    offset = tuple(round(at - SIDE / 2 / 1.05) for at in middle)
    small = resize(scripted.in_modes(9, 1, SIDE).pixels, Size(side, side))
    expected = together(layers_of(9, pixels=small, offset=offset)[:2])
    until(lambda: np.abs(canvas(driver).astype(int) - expected).max() <= 2)
    keys(driver, Keys.ESCAPE)
    assert not one(driver, "#handles").is_displayed()
    zoom = one(driver, "#zoom").text
    keys(driver, "+")
    assert one(driver, "#zoom").text != zoom  # without a layer, the keys are the view's again


def test_harmonise_keeps_the_moved_layers_and_the_other_program_sees_the_picture(driver, server, picture):
    follow_off(driver)
    drag(driver, (40, 40), (45, 50))
    assert one(driver, "#draw").text == "Harmonise"
    draw(driver)
    until(lambda: newest(server).job != picture.job)
    spoken(driver, "finished")
    submit = newest(server)
    (front,) = submit.foregrounds
    left, top = picture_offset(1)
    assert (front.kind, front.x, front.y, submit.background.kind) == ("kept", left + 5, top + 10, "kept")
    begins = [event for event in server.app._database.events(picture.job) if event.type == "layer_begin"]
    assert (submit.background.layer, front.layer) == (begins[0].sha256, begins[1].sha256)
    assert front.opacity == pytest.approx(0.6)
    with server.client() as krita:  # what was begun there and continued here can be continued there
        krita.resume(submit.job)
        assert len([event for event in krita.events(submit.job) if hasattr(event, "begin")]) == 4


def test_each_layer_is_kept_redrawn_or_relit(driver, server, picture, subtests):
    follow_off(driver)
    for front, behind, words, kinds in [
        ("keep", "redraw", "New background", ("kept", "generated")),
        ("redraw", "keep", "New foreground", ("generated", "kept")),
        ("relight", "keep", "Relight", ("relit", "kept")),
    ]:
        with subtests.test(words=words):
            open_first(driver)
            for name, verb in [("Layer 1", front), ("Layer 0", behind)]:
                choose(driver, name, verb)
            if front == "redraw":
                write(detail(driver, "Layer 1", "prompt"), f"{SCRIPT} apple")
                write(detail(driver, "Layer 1", "seed"), "41")
            assert one(driver, "#draw").text == words
            before = newest(server).job
            draw(driver)
            until(lambda before=before: newest(server).job != before)
            submit = newest(server)
            assert (submit.foregrounds[0].kind, submit.background.kind) == kinds
            if front == "redraw":
                assert (submit.foregrounds[0].prompt, submit.foregrounds[0].seed) == (f"{SCRIPT} apple", 41)
            spoken(driver, "finished")


def open_first(driver):
    """Open the oldest picture of the history."""
    driver.execute_script("[...document.querySelectorAll('#history .open')].at(-1).click()")
    until(lambda: driver.execute_script("return document.querySelectorAll('#layers li').length") == 4)
    spoken(driver, "finished")


def test_boxes_for_further_foregrounds_are_drawn_with_pointer_and_keyboard(driver, server, picture):
    from selenium.webdriver.common.keys import Keys

    follow_off(driver)
    for number, where in [(2, "pointer"), (3, "keyboard")]:
        driver.execute_script("document.getElementById('add-box').click()")
        if where == "pointer":
            drag(driver, (10, 20), (30, 40), (50, 70))
        else:
            keys(driver, Keys.ENTER)
        assert f"Foreground {number}" in names(driver)
        write(detail(driver, f"Foreground {number}", "prompt"), f"a boat {number}")
    write(detail(driver, "Foreground 2", "seed"), "5")
    draw(driver)
    until(lambda: newest(server).job != picture.job)
    kept, boat, other = newest(server).foregrounds
    assert (kept.kind, boat.prompt, boat.seed, other.prompt) == ("kept", "a boat 2", 5, "a boat 3")
    assert [abs(found - wanted) <= 1 for found, wanted in zip(vars(boat.box).values(), (10, 20, 40, 50), strict=True)]
    assert other.box is not None


def test_several_foregrounds_are_placed_before_anything_is_drawn(driver, server):
    for name, value in [("foreground", SCRIPT), ("background", "a beach"), ("width", SIDE), ("height", SIDE)]:
        studio_page.fill(driver, name, str(value))
    until(lambda: one(driver, "#add-box").is_enabled())
    driver.execute_script("document.getElementById('add-box').click()")
    drag(driver, (10, 20), (30, 40), (50, 70))
    assert names(driver) == ["Foreground 2", "Foreground", "Background"]
    write(detail(driver, "Foreground 2", "prompt"), "a boat")
    assert one(driver, "#draw").text == "Draw it anew"
    draw(driver)
    with server.client() as client:
        until(lambda: [job.state for job in client.jobs()] == ["finished"])
    submit = newest(server)
    assert (submit.background.prompt, submit.background.box) == ("a beach", None)
    assert [(each.prompt, each.box is None) for each in submit.foregrounds] == [(SCRIPT, True), ("a boat", False)]


def test_order_names_modes_and_opacity_are_in_the_file_and_are_taken_back(driver, server, picture, downloads):
    follow_off(driver)
    write(detail(driver, "Layer 2", "name"), "Dusk 林")
    select(driver, "Dusk 林")
    driver.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = 'normal'; field.onchange()",
        f"{key_of(driver, 'Dusk 林')}-blend",
    )
    slider = one(driver, f"#layers li[data-key='{key_of(driver, 'Dusk 林')}'] .opacity input")
    driver.execute_script(
        "const [field] = arguments; field.onpointerdown(); field.value = 40; field.dispatchEvent(new Event('input'))",
        slider,
    )
    select(driver, "Dusk 林")
    driver.execute_script(f"document.querySelector('[data-keeps=\"{key_of(driver, 'Dusk 林')}-down\"]').click()")
    assert names(driver) == ["Layer 3", "Layer 1", "Dusk 林", "Layer 0"]
    made = layers_of(9)
    dusk = replace(made[2], name="Dusk 林", blend="normal", opacity=0.4)
    expected = [made[0], dusk, made[1], made[3]]
    assert_same(canvas(driver), together(expected))
    until(lambda: one(driver, "#export-psd").is_enabled())
    one(driver, "#export-psd").click()
    path = until(lambda: list(downloads.glob("*.psd")))[0]
    read = formats.load(path)
    assert [(layer.name, layer.blend, round(255 * layer.opacity)) for layer in read] == [
        (layer.name, layer.blend, round(255 * layer.opacity)) for layer in expected
    ]
    assert np.array_equal(flatten(read), together(expected))
    theirs = [layer.name for layer in psd_tools.PSDImage.open(path).descendants() if not layer.is_group()]
    assert theirs[:4] == [layer.name for layer in expected]
    driver.refresh()  # an arrangement outlives a reload
    spoken(driver, "finished")
    until(lambda: names(driver) == ["Layer 3", "Layer 1", "Dusk 林", "Layer 0"])
    assert_same(canvas(driver), together(expected))
    driver.execute_script(f"document.querySelector('[data-keeps=\"names {key_of(driver, 'Dusk 林')}\"]').click()")
    driver.execute_script(f"document.querySelector('[data-keeps=\"{key_of(driver, 'Dusk 林')}-up\"]').click()")
    assert names(driver)[1] == "Dusk 林"
    detail(driver, "Dusk 林", "name").click()
    driver.execute_script("document.getElementById('undo').click()")  # a field that is only visited is no change
    assert names(driver)[2] == "Dusk 林"
    driver.execute_script("document.getElementById('redo').click()")
    assert names(driver)[1] == "Dusk 林"


def test_before_and_after_with_a_slider(driver, server, picture):
    one(driver, "#compare-with option[value='unlit']").click()
    driver.execute_script(
        "const field = document.getElementById('divider'); field.value = 25; field.dispatchEvent(new Event('input'))"
    )
    style = driver.execute_script("return document.getElementById('before').style.clipPath")
    assert style == "inset(0px 75% 0px 0px)"
    assert_same(canvas(driver, "before"), together(layers_of(9)[:2]))


def test_what_was_arranged_comes_back_when_drawing_is_cancelled(driver, server, picture, gate):
    follow_off(driver)
    write(detail(driver, "Layer 1", "prompt"), f"{gate.word} layers=2")
    drag(driver, (40, 40), (45, 50))
    shown = canvas(driver)
    draw(driver)
    until(lambda: one(driver, "#cancel").is_displayed())
    assert np.array_equal(canvas(driver), shown)  # it stays in sight while it is drawn
    one(driver, "#cancel").click()
    until(lambda: not one(driver, "#progress").is_displayed())
    assert names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"]
    assert np.array_equal(canvas(driver), shown)
