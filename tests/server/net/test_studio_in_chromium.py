"""The studio in a real Chromium: drawing, layers, history, files, and what happens when something goes away."""

import socket
from pathlib import Path

import numpy as np
import psd_tools

import chromium
import scripted
from chromium import wait_for
from layerfusion.engine.image import compositing
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.server.client import browser
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Generated
from running import Running
from studio_page import SIDE, assert_same, canvas, drawn, fill, generate, names, one, press, spoken, text_of, until

pytestmark = chromium.NEEDED


def test_the_canvas_shows_what_the_engine_composites(driver, server):
    """All blend modes, places beside the canvas, and opacities, over an opaque and over no background."""
    drawn(server, blended_prompt=f"modes layers=6 side={SIDE}", seed=3)
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    layers = tuple(scripted.in_modes(3, index, SIDE) for index in range(6))
    whole = LayeredImage(name="whole", size=(SIDE, SIDE), layers=layers)
    assert compositing.flatten(whole)[..., 3].min() == 255
    assert_same(canvas(driver), compositing.flatten(whole))
    one(driver, "#layers li:last-child button").click()
    assert one(driver, "#layers li:last-child button").get_attribute("aria-pressed") == "false"
    without = LayeredImage(name="without", size=(SIDE, SIDE), layers=layers[1:])
    assert_same(canvas(driver), compositing.flatten(without))
    one(driver, "#layers li:last-child button:last-of-type").click()  # the background alone, though it is hidden
    alone = LayeredImage(name="alone", size=(SIDE, SIDE), layers=layers[:1])
    assert_same(canvas(driver), compositing.flatten(alone))


def test_opacity_is_composited_as_the_engine_does(driver, server):
    drawn(server, blended_prompt=f"layers=2 side={SIDE}", seed=4)
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    slider = one(driver, "#layers li:first-child input")
    driver.execute_script("arguments[0].value = 37; arguments[0].dispatchEvent(new Event('input'))", slider)
    bottom, top = (scripted.pixels(4, index, SIDE) for index in range(2))
    assert_same(canvas(driver), compositing.composite(bottom, top, opacity=0.37))
    assert not one(driver, "#changed").is_displayed()  # light does not depend on it


def test_a_picture_is_drawn_listed_and_still_there_after_a_reload(driver, server):
    generate(driver, "layers=3 record")
    spoken(driver, "finished")
    assert names(driver) == ["Layer 2", "Layer 1", "Layer 0"]
    one(driver, "#history .open[aria-current='true'] canvas")
    assert "seed 7" in one(driver, "#origin").text
    driver.refresh()
    spoken(driver, "finished")
    assert names(driver) == ["Layer 2", "Layer 1", "Layer 0"]
    assert one(driver, "#foreground").get_attribute("value") == "layers=3 record"
    for name in ("foreground", "background", "seed"):
        fill(driver, name, "1")
    driver.find_element("css selector", "#origin button").click()
    filled = [one(driver, f"#{name}").get_attribute("value") for name in ("foreground", "background", "seed")]
    assert filled == ["layers=3 record", "a beach", "7"]


def test_previews_are_shown_while_it_is_drawn_and_cancel_stops_it(driver, server, gate):
    generate(driver, f"previews {gate.word}")
    until(lambda: names(driver) == ["Background"])
    assert canvas(driver)[SIDE // 2, SIDE // 2].tolist() == list(scripted.PREVIEW)
    assert "step" in one(driver, "#progress-text").text
    one(driver, "#cancel").click()
    spoken(driver, "Cancelled")
    assert not one(driver, "#progress").is_displayed()
    wait_for(driver, "cancelled")


def test_a_reload_in_the_middle_loses_nothing(driver, server, gate):
    generate(driver, f"layers=4 {gate.word}")
    until(lambda: one(driver, "#progress").is_displayed() and "step" in one(driver, "#progress-text").text)
    driver.refresh()
    until(lambda: "step" in text_of(driver, "#progress-text"))
    gate.open()
    spoken(driver, "finished")
    assert names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"]


def test_files_have_the_engines_pixels(driver, server, downloads):
    generate(driver, f"layers=2 side={SIDE}", side=SIDE)
    spoken(driver, "finished")
    for ending in ("psd", "ora", "png"):
        until(lambda ending=ending: one(driver, f"#export-{ending}").is_enabled())
        one(driver, f"#export-{ending}").click()
        until(lambda ending=ending: list(downloads.glob(f"*.{ending}")))
    (path,) = downloads.glob("*.psd")
    assert path.name == f"layers 2 side {SIDE} a beach.psd"
    layers = {layer.name: layer for layer in psd_tools.PSDImage.open(path).descendants()}
    for index in range(2):
        found = np.asarray(layers[f"Layer {index}"].topil().convert("RGBA"))
        expected = scripted.pixels(7, index, SIDE)
        assert np.array_equal(found[expected[..., 3] > 0], expected[expected[..., 3] > 0])
    with server.client() as client:
        until(lambda: client.jobs()[0].fetched)


def test_a_picture_is_deleted_after_a_question(driver, server):
    generate(driver, "layers=1")
    spoken(driver, "finished")
    for answer, left in [("delete-no", 1), ("delete-yes", 0)]:
        press(driver, "#history .delete")
        one(driver, f"#{answer}").click()
        until(lambda left=left: len(driver.find_elements("css selector", "#history li")) == left)
    with server.client() as client:
        assert client.jobs() == ()
    wait_for(driver, "Describe a foreground and a background")


def test_an_error_is_said_with_its_remedy(driver, server):
    generate(driver, "huge")
    wait_for(driver, "The picture does not fit. Draw a smaller one.")


def test_a_size_that_cannot_be_drawn_is_not_sent(driver, server):
    generate(driver, "layers=1", side=8)
    invalid = driver.execute_script("return [...document.querySelectorAll('#form input:invalid')].map((e) => e.id)")
    assert invalid == ["width", "height"]
    assert not driver.find_elements("css selector", "#history li")


def test_the_keyboard_is_enough(driver, server):
    from selenium.webdriver.common.keys import Keys

    for name, value in [("width", str(SIDE)), ("height", str(SIDE)), ("background", "a beach")]:
        fill(driver, name, value)
    fill(driver, "foreground", "layers=1")
    until(lambda: one(driver, "#generate").is_enabled())
    one(driver, "#foreground").send_keys(Keys.CONTROL, Keys.ENTER)
    spoken(driver, "finished")
    viewport = one(driver, "#viewport")
    before = one(driver, "#zoom").text
    viewport.send_keys("1")
    assert one(driver, "#zoom").text == "100 %"
    viewport.send_keys("+")
    assert one(driver, "#zoom").text == "125 %"
    viewport.send_keys("0")
    assert one(driver, "#zoom").text == before
    order = []
    one(driver, "#foreground").click()
    for _ in range(23):
        order.append(driver.execute_script("return document.activeElement.id"))
        driver.switch_to.active_element.send_keys(Keys.TAB)
    known = ["foreground", "background", "negative", "example", "shape", "width", "height", "seed", "count", "style"]
    order = [identity for identity in order if identity]  # words that the model does not know have buttons, too
    assert order[:15] == [*known, "style-new", "preset", "model", "masks", "generate"]
    assert "viewport" in order


def test_nothing_shows_under_the_button_that_stays_at_the_bottom_of_the_form(driver):
    """Its shadow covers the space below it, through which the form would be seen."""
    shadow, space = driver.execute_script(
        "return [getComputedStyle(document.getElementById('generate')).boxShadow,"
        "getComputedStyle(document.getElementById('form')).paddingBottom]"
    )
    assert shadow.endswith(f"0px 0px 0px {space}")


def test_texts_of_others_are_shown_as_text_and_nothing_is_asked_elsewhere(driver, server):
    hostile = "<img src=x onerror=document.title='run'>"
    drawn(server, background=Generated(prompt=hostile), blended_prompt="layers=1 notices=1")
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    assert hostile in one(driver, "#history .title").get_attribute("textContent")
    assert driver.title == "LayerFusion studio"
    asked = driver.execute_script("return performance.getEntries().map((entry) => entry.name)")
    own = browser.address(server.runtime)
    assert all(name.startswith(own) for name in asked if ":" in name)
    assert driver.get_log("browser") == []


def test_the_code_is_used_once_and_is_nowhere_afterwards(driver, server):
    code = chromium.sign_in(driver, server, "studio")
    wait_for(driver, "Your pictures are kept here.")
    assert driver.current_url == browser.address(server.runtime, "studio")
    shown = driver.execute_script(
        "return document.documentElement.outerHTML + JSON.stringify([history.state, {...sessionStorage}])"
    )
    assert code not in shown
    assert server.runtime.token not in shown
    driver.find_element("id", "signout").click()
    one(driver, "#code")
    until(lambda: one(driver, "#code").is_displayed())
    one(driver, "#code").send_keys(code)
    one(driver, "#signin button").click()
    wait_for(driver, "The code is wrong, used or too old.")
    one(driver, "#code").send_keys(browser.new_code(server.runtime))
    one(driver, "#signin button").click()
    until(lambda: one(driver, "#foreground").is_displayed())


def test_a_server_that_stops_in_the_middle_and_comes_back_goes_on(chrome, tmp_path, gate, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tmp_path / "jobs")
    with Running(folder, scripted.load, port=port, drain_seconds=0) as first:
        chromium.sign_in(chrome, first, "studio")
        wait_for(chrome, "Your pictures are kept here.")
        generate(chrome, f"layers=2 {gate.word}")
        until(lambda: "step" in one(chrome, "#progress-text").text)
    wait_for(chrome, "The server does not answer.")
    with Running(folder, scripted.load, port=port):
        until(lambda: not one(chrome, "#link").is_displayed())
        again = one(chrome, "#problems .problem button")
        assert again.text == "Draw it again"
        again.click()
        gate.open()
        spoken(chrome, "finished")
        assert names(chrome) == ["Layer 1", "Layer 0"]
