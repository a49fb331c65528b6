"""Arrangements of several pictures in the studio, in a real Chromium: none is lost by looking at another picture."""

from dataclasses import replace

import numpy as np
import pytest

import chromium
import studio_page
from layerfusion.engine import formats
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.server.protocol.messages import Box, Generated
from studio_editing import (
    SCRIPT,
    detail,
    drag,
    draw,
    follow_off,
    give,
    kept_prompt,
    layers_of,
    picture_offset,
    together,
    write,
)
from studio_page import SIDE, assert_same, canvas, drawn, names, newest, one, spoken, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


def look_at(driver, kind, number):
    """Open an entry of the history or of the drafts; 0 is the first one."""
    rows = until(lambda: driver.find_elements("css selector", f"#{kind} .open"))
    driver.execute_script("arguments[0].click()", rows[number])
    until(lambda: current(driver, kind, number) == "true")
    spoken(driver, "finished")


def current(driver, kind, number):
    """Whether an entry is that of the picture that is shown."""
    script = "return document.querySelectorAll(`#${arguments[0]} .open`)[arguments[1]]?.getAttribute('aria-current')"
    return driver.execute_script(script, kind, number)


def drafts(driver):
    return driver.execute_script("return [...document.querySelectorAll('#drafts .title')].map((e) => e.textContent)")


def test_each_picture_keeps_its_arrangement_and_one_step_back_is_as_it_was_drawn(driver, server, picture):
    drawn(server, foregrounds=(kept_prompt(),), seed=10)
    until(lambda: len(driver.find_elements("css selector", "#history .open")) == 2)
    follow_off(driver)
    write(detail(driver, "Layer 1", "name"), "Boat")
    drag(driver, (40, 40), (45, 50))
    left, top = picture_offset(1)
    moved = together(layers_of(9, offset=(left + 5, top + 10))[:2])
    look_at(driver, "history", 0)
    until(lambda: "Layer 1" in names(driver))
    write(detail(driver, "Layer 2", "name"), "Dusk")
    look_at(driver, "history", 1)
    until(lambda: "Boat" in names(driver))
    until(lambda: np.abs(canvas(driver).astype(int) - moved).max() <= 2)
    look_at(driver, "history", 0)
    until(lambda: "Dusk" in names(driver))
    driver.refresh()
    spoken(driver, "finished")
    until(lambda: "Dusk" in names(driver))
    look_at(driver, "history", 1)
    until(lambda: "Boat" in names(driver))
    driver.execute_script("document.getElementById('undo').click()")
    until(lambda: names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"])
    assert_same(canvas(driver), together(layers_of(9)))


def begin(driver):
    """Begin a picture with a box for a second foreground."""
    for name, value in [("foreground", SCRIPT), ("background", "a beach"), ("width", SIDE), ("height", SIDE)]:
        studio_page.fill(driver, name, str(value))
    until(lambda: one(driver, "#add-box").is_enabled())
    driver.execute_script("document.getElementById('add-box').click()")
    drag(driver, (10, 20), (30, 40), (50, 70))
    write(detail(driver, "Foreground 2", "prompt"), "a boat")


def test_a_picture_that_was_begun_stays_until_it_is_drawn(driver, server):
    begin(driver)
    job = drawn(server, foregrounds=(kept_prompt(),), seed=9)
    assert drafts(driver) == [f"a boat, {SCRIPT}, a beach"]
    look_at(driver, "history", 0)
    until(lambda: names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"])
    one(driver, "#drafts .thumbnail canvas")
    driver.refresh()
    spoken(driver, "finished")
    look_at(driver, "drafts", 0)
    until(lambda: names(driver) == ["Foreground 2", "Foreground", "Background"])
    assert detail(driver, "Foreground 2", "prompt").get_attribute("value") == "a boat"
    driver.refresh()
    until(lambda: names(driver) == ["Foreground 2", "Foreground", "Background"])
    draw(driver)
    until(lambda: newest(server).job != job.job)
    until(lambda: drafts(driver) == [])
    assert [each.prompt for each in newest(server).foregrounds] == [SCRIPT, "a boat"]


def test_a_draft_that_fails_or_is_changed_while_it_is_drawn_stays(driver, server, gate):
    begin(driver)
    write(detail(driver, "Foreground", "prompt"), "huge")
    draw(driver)
    studio_page.wait_for(driver, "The picture does not fit. Draw a smaller one.")
    until(lambda: names(driver) == ["Foreground 2", "Foreground", "Background"])
    write(detail(driver, "Foreground", "prompt"), SCRIPT)
    with server.client() as client:
        other = studio_page.small_job(foregrounds=(Generated(prompt=gate.word),))
        client.submit(other)  # it is drawn first, so that there is time to look elsewhere
        draw(driver)
        until(lambda: current(driver, "drafts", 0) == "false")
        driver.execute_script("document.querySelector('#drafts .open').click()")
        until(lambda: names(driver) == ["Foreground 2", "Foreground", "Background"])
        write(detail(driver, "Foreground 2", "prompt"), "two boats")
        client.cancel(other.job)
        until(lambda: client.jobs()[0].state == "finished")
    until(lambda: driver.execute_script("return document.getElementById('queue').childElementCount") == 0)
    assert drafts(driver) == [f"two boats, {SCRIPT}, a beach"]


def test_opened_files_stay_as_they_are_arranged_until_they_are_removed(driver, server, picture, tmp_path):
    follow_off(driver)
    made = layers_of(9)[:2]
    for name in ("one", "two"):
        layers = tuple(replace(layer, name=f"{name} {index}") for index, layer in enumerate(made))
        formats.save(LayeredImage(name=name, size=Size(SIDE, SIDE), layers=layers), tmp_path / f"{name}.psd")
        give(driver, tmp_path / f"{name}.psd")
        until(lambda name=name: names(driver) == [f"{name} 1", f"{name} 0"])
    assert drafts(driver) == ["two", "one"]
    look_at(driver, "drafts", 1)
    until(lambda: names(driver) == ["one 1", "one 0"])
    drag(driver, (40, 40), (45, 50))
    assert drafts(driver) == ["one", "two"]
    left, top = picture_offset(1)
    moved = together([made[0], replace(made[1], offset=(left + 5, top + 10))])
    assert_same(canvas(driver), moved)
    look_at(driver, "history", 0)
    look_at(driver, "drafts", 0)
    until(lambda: names(driver) == ["one 1", "one 0"])
    assert_same(canvas(driver), moved)
    driver.execute_script("document.querySelector('#drafts .delete').click()")
    one(driver, "#draft-no").click()
    assert drafts(driver) == ["one", "two"]
    driver.execute_script("document.querySelector('#drafts .delete').click()")
    one(driver, "#draft-yes").click()
    until(lambda: drafts(driver) == ["two"])
    studio_page.wait_for(driver, "Describe a foreground and a background")


def test_what_several_foregrounds_were_made_from_is_with_the_layers_again(driver, server):
    script = f"layers=3 side={SIDE} record"
    apple = Generated(prompt=script, negative_prompt="fog", seed=3)
    duck = Generated(prompt="a duck", seed=4, box=Box(x=8, y=16, width=32, height=40))
    beach = Generated(prompt="a beach", negative_prompt="people", seed=5)
    job = drawn(server, foregrounds=(apple, duck), background=beach, seed=6)
    driver.refresh()
    look_at(driver, "history", 0)
    write(detail(driver, "Layer 1", "prompt"), "a pear")
    until(lambda: one(driver, "#origin button").is_enabled())
    one(driver, "#origin button").click()
    assert driver.switch_to.active_element.get_attribute("value") == script
    draw(driver)
    until(lambda: newest(server).job != job.job)
    again = newest(server)
    assert (again.foregrounds, again.background) == (job.foregrounds, job.background)
    assert again.seed == 6
