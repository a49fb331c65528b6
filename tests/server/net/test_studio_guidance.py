"""What the studio leads the artist to, in a real Chromium: what a choice means, what comes next, what is in sight."""

import pytest

import chromium
import studio_page
from layerfusion.engine.models.catalog.registry import find_model
from studio_editing import SCRIPT, drag, draw, follow_off
from studio_page import SIDE, drawn, generate, newest, one, spoken, text_of, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


NOTES = "return [...document.querySelectorAll('#notes p span')].map((note) => note.textContent)"


def test_the_steps_of_a_model_are_those_of_the_chosen_care(driver, server):
    spec = find_model("tiny")
    assert spec.usual.steps != spec.defaults.steps, "the embedded model has an adapter for few steps"
    for preset, steps in [("paper", spec.defaults.steps), ("fast", spec.usual.steps), ("", spec.usual.steps)]:
        driver.execute_script(
            "const field = document.getElementById('preset'); field.value = arguments[0];"
            "field.dispatchEvent(new Event('input', {bubbles: true}))",
            preset,
        )
        assert f"Draws in {steps} steps." in text_of(driver, "#model-notice")


def main_buttons(driver):
    return driver.execute_script(
        "return ['generate', 'draw'].filter((id) => document.getElementById(id).classList.contains('main'))"
    )


def test_one_button_is_the_next_step(driver, server):
    assert main_buttons(driver) == ["generate"]
    for name, value in [("foreground", SCRIPT), ("background", "a beach"), ("width", SIDE), ("height", SIDE)]:
        studio_page.fill(driver, name, str(value))
    until(lambda: one(driver, "#add-box").is_enabled())
    driver.execute_script("document.getElementById('add-box').click()")
    studio_page.wait_for(driver, "Foreground")
    assert main_buttons(driver) == ["draw"]
    driver.execute_script("document.getElementById('viewport').focus()")
    driver.switch_to.active_element.send_keys("\n")
    driver.switch_to.active_element.send_keys("a boat")
    draw(driver)
    spoken(driver, "finished")
    assert main_buttons(driver) == ["generate"]
    follow_off(driver)
    drag(driver, (40, 40), (45, 50))
    assert main_buttons(driver) == ["draw"]


def test_a_note_that_was_closed_is_not_said_again(driver, server):
    for _ in range(2):
        before = newest(server).job if text_of(driver, "#history .title") else None
        generate(driver, "layers=1 notices=2")
        until(lambda before=before: text_of(driver, "#history .title") and newest(server).job != before)
        until(lambda: one(driver, "#act").is_displayed())
        notes = driver.execute_script(
            "return [...document.querySelectorAll('#notes p span')].map((e) => e.textContent)"
        )
        if before is None:
            assert [note[:8] for note in notes] == ["Notice 0", "Notice 1"]
            driver.execute_script("document.querySelector('#notes p:first-child .quiet').click()")
    assert [note[:8] for note in notes] == ["Notice 1"]


def test_on_a_phone_a_picture_of_the_history_comes_into_sight(driver, server, window):
    for seed in (1, 2):
        drawn(server, blended_prompt=f"layers=1 side={SIDE}", seed=seed)
    driver.set_window_size(390, 844)
    try:
        driver.refresh()
        until(lambda: len(driver.find_elements("css selector", "#history .open")) == 2)
        for number in (1, 0):
            driver.execute_script("document.querySelector('#history').scrollIntoView({block: 'end'})")
            assert not in_sight(driver)
            driver.execute_script("document.querySelectorAll('#history .open')[arguments[0]].click()", number)
            until(lambda: in_sight(driver))
        driver.execute_script("document.querySelector('#history').scrollIntoView({block: 'end'})")
    finally:
        driver.set_window_size(*window)


def in_sight(driver):
    """Whether all of the picture is."""
    return driver.execute_script(
        "const {top, bottom} = document.getElementById('viewport').getBoundingClientRect();"
        "return top >= 0 && bottom <= innerHeight + 1"
    )
