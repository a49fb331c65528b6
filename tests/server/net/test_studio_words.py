"""Words in the studio that the model does not know, and completions, in the form and in the prompts of layers."""

import pytest

import chromium
from studio_editing import SCRIPT, choose, detail, draw, key_of, write
from studio_page import fill, generate, newest, one, spoken, until

pytestmark = chromium.NEEDED


def offered(driver, identity="foreground"):
    """What is offered to complete a prompt."""
    return driver.execute_script(
        "const list = document.getElementById(`${arguments[0]}-completions`);"
        "return list.hidden ? [] : [...list.children].map((option) => option.textContent)",
        identity,
    )


def value(driver, identity):
    return driver.execute_script("return document.getElementById(arguments[0]).value", identity)


@pytest.mark.parametrize(
    ("typed", "first", "then"),
    [
        ("a red ap", "a red apple", "a red apple"),
        ("apple", "a red apple", "a red apple"),
        ("the apple", "a red apple", "a red apple"),
        ("A  Red Ap", "a red apple", "a red apple"),
        ("a beach sunset", "at sunset", "a beach at sunset"),
        ("a beach at sun", "at sunset", "a beach at sunset"),
        ("a desert in fog", "in the fog", "a desert in the fog"),
        ("a desert in the fo", "in the fog", "a desert in the fog"),
        ("a cat, a blue", "a blue car", "a cat, a blue car"),
    ],
)
def test_what_is_typed_is_completed_once(driver, typed, first, then):
    from selenium.webdriver.common.keys import Keys

    fill(driver, "foreground", typed)
    assert offered(driver)[0] == first
    one(driver, "#foreground").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert value(driver, "foreground") == then


@pytest.mark.parametrize("typed", ["a beach", "a beach at sunset", "a red apple", "a cat and a black cat", "A Beach"])
def test_nothing_is_offered_where_a_phrase_is_complete(driver, typed):
    fill(driver, "foreground", typed)
    assert offered(driver) == []


def selected(driver):
    """The field that has the focus, and what is selected in it."""
    return driver.execute_script(
        "const {id, value, selectionStart, selectionEnd} = document.activeElement;"
        "return [id, value.slice(selectionStart, selectionEnd)]"
    )


def go(driver):
    """Press the button of the notice."""
    button = until(lambda: driver.find_elements("css selector", "#notes button:not(.quiet)"))[0]
    assert button.text == "Go to the words"
    driver.execute_script("arguments[0].click()", button)


def test_the_way_to_an_unknown_word_leads_to_the_form_or_to_the_layer_that_has_it(driver, server):
    script = f"{SCRIPT} notices=1 code=unknown_words zebu"
    generate(driver, script)
    spoken(driver, "finished")
    go(driver)
    assert selected(driver)[0] == "foreground"
    fill(driver, "foreground", "a cat")
    write(detail(driver, "Layer 0", "prompt"), "a beach")
    choose(driver, "Layer 1", "redraw")
    write(detail(driver, "Layer 1", "prompt"), script.replace("zebu", "okapi"))
    unknown = "return [...arguments[0].parentElement.querySelectorAll('.unknown button')].map((e) => e.textContent)"
    until(lambda: driver.execute_script(unknown, detail(driver, "Layer 1", "prompt")))
    until(lambda: driver.execute_script("return document.activeElement.id").endswith("-prompt"))
    before = newest(server).job
    draw(driver)
    until(lambda: newest(server).job != before)
    until(lambda: one(driver, "#act").is_displayed())
    driver.execute_script("document.activeElement.blur()")
    go(driver)
    until(lambda: selected(driver)[0] == f"{key_of(driver, 'Layer 1')}-prompt")


def test_the_prompt_of_a_layer_is_completed_and_draws(driver, server):
    from selenium.webdriver.common.keys import Keys

    generate(driver, SCRIPT)
    spoken(driver, "finished")
    choose(driver, "Layer 0", "redraw")
    field = detail(driver, "Layer 0", "prompt")
    write(field, "snowy mou")
    assert offered(driver, field.get_attribute("id")) == ["snowy mountains"]
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert field.get_attribute("value") == "snowy mountains"
    before = newest(server).job
    field.send_keys(Keys.CONTROL, Keys.ENTER)
    until(lambda: newest(server).job != before)
    assert newest(server).background.prompt == "snowy mountains"
