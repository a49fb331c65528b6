"""What happens by mistake: double clicks, faults of the page, a server that ends the conversation."""

import chromium
from chromium import wait_for
from studio_editing import drag, follow_off
from studio_page import SIDE, fill, one, spoken, text_of, until

pytestmark = chromium.NEEDED


def double_click(driver, selector):
    from selenium.webdriver import ActionChains

    ActionChains(driver).double_click(one(driver, selector)).perform()


def count(server):
    with server.client() as client:
        return len(client.jobs())


def test_a_double_click_draws_one_picture(driver, server):
    fill_form(driver)
    double_click(driver, "#generate")
    spoken(driver, "finished")
    assert count(server) == 1
    one(driver, "#generate").click()  # two clicks are two pictures
    until(lambda: count(server) == 2)


def test_harmonise_is_pressed_twice_at_once(driver, server, picture):
    follow_off(driver)
    drag(driver, (40, 40), (45, 50))
    until(lambda: one(driver, "#draw").is_enabled())
    driver.execute_script("for (const _ of [1, 2]) document.getElementById('draw').click()")
    until(lambda: count(server) == 2)
    spoken(driver, "finished")
    assert count(server) == 2


def fill_form(driver):
    for name, value in [("foreground", "layers=2"), ("background", "a beach"), ("width", SIDE), ("height", SIDE)]:
        fill(driver, name, str(value))
    until(lambda: one(driver, "#generate").is_enabled())


def test_a_fault_of_the_page_is_said_and_the_page_can_be_loaded_again(driver, server):
    fill_form(driver)
    driver.execute_script("Object.defineProperty(crypto, 'getRandomValues', {value: null}); window.old = true")
    one(driver, "#generate").click()
    wait_for(driver, "Something in this page went wrong.")
    one(driver, "#problems button").click()
    until(lambda: driver.execute_script("return document.readyState === 'complete' && !window.old"))
    wait_for(driver, "Your pictures are kept here.")
    driver.execute_script("window.dispatchEvent(new ErrorEvent('error', {message: 'ResizeObserver loop completed'}))")
    assert not driver.find_elements("css selector", "#problems .problem")
    assert one(driver, "#foreground").get_attribute("value") == "layers=2"


def test_a_conversation_that_the_server_has_ended_can_be_begun_again(driver, server):
    fill_form(driver)
    driver.execute_script(
        "const { send } = WebSocket.prototype; WebSocket.prototype.send = function () { send.call(this, 'nothing') }"
    )
    one(driver, "#generate").click()
    until(lambda: "Load the page again" in text_of(driver, "#problems"))
    assert not one(driver, "#generate").is_enabled()
    one(driver, "#problems button").click()
    spoken(driver, "finished")  # what was not answered is sent again
