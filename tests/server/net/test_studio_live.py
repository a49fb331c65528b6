"""Shadow and Light follow what is dragged in the studio, in a real Chromium."""

from dataclasses import replace

import numpy as np
import pytest

import chromium
import scripted
from layerfusion.server.protocol.messages import Generated
from studio_editing import SCRIPT, drag, follow_off, follow_on, layers_of, picture_offset, together
from studio_page import SIDE, canvas, drawn, one, spoken, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]

SENT = """
window.sent = [];
const {send} = WebSocket.prototype;
WebSocket.prototype.send = function (frame) {
  window.sent.push(new TextDecoder("latin1").decode(frame));
  send.call(this, frame);
};
"""


def test_shadow_and_light_follow_a_foreground_that_is_dragged_and_nothing_is_left(driver, server, picture):
    follow_on(driver)
    drag(driver, (40, 40), (45, 50), (52, 58))
    assert one(driver, "#handles").is_displayed()
    assert one(driver, "#changed").is_displayed()
    # The preview has the seed of the form; kept layers keep the artist's pixels.
    offset = (picture_offset(1)[0] + 12, picture_offset(1)[1] + 18)
    moved = layers_of(9, offset=offset)[:2]
    light = [replace(scripted.in_modes(7, index, SIDE)) for index in (2, 3)]
    driver.execute_script("document.getElementById('seed').value = '7'")
    drag(driver, (60, 60), (61, 60))
    moved[1] = replace(moved[1], offset=(offset[0] + 1, offset[1]))
    until(lambda: np.abs(canvas(driver).astype(int) - together([*moved, *light])).max() <= 2)
    with server.client() as client:
        assert [job.job for job in client.jobs()] == [picture.job]
    until(lambda: [job.id for job in server.app._database.jobs()] == [picture.job])  # previews are deleted
    assert len(driver.find_elements("css selector", "#history li")) == 1


def sent(driver, kind):
    """How many messages of a type the page has sent since `SENT`."""
    names = driver.execute_script("return window.sent")
    return sum(f"type{chr(0xA0 + len(kind))}{kind}" in name for name in names)


def test_what_is_superseded_is_given_up_and_layers_are_made_small_once(driver, server, gate):
    slow = Generated(prompt=f"{SCRIPT.replace('side=96', 'side=600')} {gate.word}")
    fast = "modes layers=4 side=600 record"
    job = drawn(server, foregrounds=(slow,), blended_prompt=fast, width=600, height=600, seed=9)
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    follow_on(driver)
    driver.execute_script(SENT)
    drag(driver, (300, 300), (310, 310))
    until(lambda: sent(driver, "submit") == 1)
    drag(driver, (310, 310), (330, 320), (340, 330))
    until(lambda: sent(driver, "cancel") > 0)
    follow_off(driver)
    with server.client() as client:
        until(lambda: [each.job for each in client.jobs()] == [job.job])
    assert sent(driver, "cancel") == sent(driver, "submit") > 1
    assert sent(driver, "scale_layer") == 2
    assert not one(driver, "#problems").text
