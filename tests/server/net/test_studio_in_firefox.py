"""The studio in a real Firefox: signing in, drawing, pixels, and a reload in the middle."""

import base64
import json

import numpy as np
import pytest

import firefox
import scripted
from layerfusion.engine.image import compositing
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.server.client import browser
from studio_page import PIXELS, SIDE, assert_same

pytestmark = firefox.NEEDED

FILL = """
for (const [name, value] of Object.entries({values})) {{
  const field = document.getElementById(name);
  field.value = value;
  field.dispatchEvent(new Event("input", {{bubbles: true}}));
}}
"""


@pytest.fixture(scope="module")
def fox(tmp_path_factory, server):
    with firefox.opened(tmp_path_factory.mktemp("profile")) as opened:
        opened.get(f"{browser.address(server.runtime, 'studio')}#code={browser.new_code(server.runtime)}")
        opened.until("!document.getElementById('desk').hidden")
        yield opened


def generate(fox, foreground, seed):
    values = {"foreground": foreground, "background": "a beach", "width": SIDE, "height": SIDE, "seed": seed}
    fox.evaluate(FILL.format(values=values))
    fox.until("!document.getElementById('generate').disabled")
    fox.evaluate("document.getElementById('generate').click()")


def canvas(fox):
    script = PIXELS.replace("arguments", '["canvas", resolve]')
    data = fox.evaluate(f"new Promise((resolve) => {{ {script} }}).then(JSON.stringify)")
    ((width, height, pixels),) = json.loads(data)
    return np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)


def test_the_code_is_not_in_the_address(fox):
    assert fox.evaluate("location.hash + location.search") == ""
    assert fox.evaluate("navigator.userAgent.includes('Firefox')")


def test_a_picture_is_drawn_and_its_pixels_are_the_engines(fox):
    generate(fox, f"modes layers=4 side={SIDE}", seed=3)
    fox.until("document.getElementById('spoken').textContent.includes('finished')")
    layers = tuple(scripted.in_modes(3, index, SIDE) for index in range(4))
    assert_same(canvas(fox), compositing.flatten(LayeredImage(name="whole", size=(SIDE, SIDE), layers=layers)))


def test_masks_are_unpacked(fox):
    fox.evaluate("document.getElementById('masks').click()")
    generate(fox, "maps=4 layers=1", seed=4)
    fox.until("document.getElementById('masks-text').textContent.includes('Step 3 of 4')")
    fox.evaluate("document.getElementById('masks').click()")


def test_a_reload_in_the_middle_loses_nothing(fox, gate):
    generate(fox, f"layers=3 {gate.word}", seed=5)
    fox.until("document.getElementById('progress-text').textContent.includes('step')")
    fox.reload()
    fox.until("document.getElementById('progress-text').textContent.includes('step')")
    gate.open()
    fox.until("document.getElementById('spoken').textContent.includes('finished')")
    assert fox.evaluate("document.querySelectorAll('#layers li').length") == 3
