"""What a person does with the layers of a picture in the studio, for tests in a browser."""

from dataclasses import replace

import scripted
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.server.protocol.messages import Generated
from studio_page import SIDE, drawn, one, spoken, until

SCRIPT = f"modes layers=4 side={SIDE} record"
"""A background, a foreground, a shadow and a light; whatever is drawn from the foreground's prompt has these, too."""

TO_CLIENT = """
const tile = document.querySelector("#canvas canvas");
const box = tile.getBoundingClientRect();
const scale = box.width / tile.width;
return [box.left + arguments[0] * scale, box.top + arguments[1] * scale].map(Math.round);
"""


def open_one(driver, server, seed=9):
    job = drawn(server, foregrounds=(kept_prompt(),), seed=seed)
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    return job


def kept_prompt():
    return Generated(prompt=SCRIPT)


def layers_of(seed, **changes):
    """The layers that the scripted engine draws, with changes of the foreground."""
    made = [scripted.in_modes(seed, index, SIDE) for index in range(4)]
    made[1] = replace(made[1], **changes)
    return made


def together(layers):
    return flatten(LayeredImage(name="all", size=Size(SIDE, SIDE), layers=tuple(layers)))


def drag(driver, start, *ways):
    """Press at a point of the picture, move to the others, and release."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    action = ActionBuilder(driver)
    action.pointer_action.move_to_location(*driver.execute_script(TO_CLIENT, *start)).pointer_down()
    for way in ways:
        action.pointer_action.move_to_location(*driver.execute_script(TO_CLIENT, *way))
    action.pointer_action.pointer_up()
    action.perform()


def keys(driver, *pressed):
    driver.execute_script("document.getElementById('viewport').focus()")
    for key in pressed:
        driver.switch_to.active_element.send_keys(key)


def select(driver, name):
    button = one(driver, f"#layers li[data-key='{key_of(driver, name)}'] button.names")
    if button.get_attribute("aria-expanded") != "true":
        driver.execute_script("arguments[0].click()", button)


def key_of(driver, name):
    return driver.execute_script(
        "return [...document.querySelectorAll('#layers li')].find((e) => e.querySelector('strong').textContent === "
        "arguments[0]).dataset.key",
        name,
    )


def choose(driver, name, verb):
    """Keep, redraw or relight a layer."""
    select(driver, name)
    driver.execute_script(
        "document.querySelector(`input[name='${arguments[0]}-verb'][value='${arguments[1]}']`).click()",
        key_of(driver, name),
        verb,
    )


def detail(driver, name, kind):
    select(driver, name)
    return one(driver, f"[id='{key_of(driver, name)}-{kind}']")


def write(field, text):
    field.clear()
    field.send_keys(text)


def follow_off(driver):
    if one(driver, "#live").is_selected():
        driver.execute_script("document.getElementById('live').click()")


def follow_on(driver):
    if not one(driver, "#live").is_selected():
        driver.execute_script("document.getElementById('live').click()")


def draw(driver):
    until(lambda: one(driver, "#draw").is_enabled())
    driver.execute_script("document.getElementById('draw').click()")


def picture_offset(index):
    return scripted.in_modes(9, index, SIDE).offset


def give(driver, *paths):
    """Choose files; dropping them on the page takes the same way."""
    one(driver, "#file").send_keys("\n".join(map(str, paths)))
