"""The studio in a real Firefox: signing in, drawing, pixels, a reload in the middle, files, dragging and cancelling."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from psd_tools import PSDImage

import firefox
import scripted
from layerfusion.engine import formats
from layerfusion.engine.image import compositing
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.server.client import browser
from studio_editing import SCRIPT, layers_of
from studio_page import PIXELS, SIDE, assert_same, newest

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


def hush(fox):
    """Forget what was spoken, so that it can be waited for again."""
    fox.evaluate("document.getElementById('spoken').textContent = ''")


def generate(fox, foreground, seed):
    hush(fox)
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


def spoken(fox, words):
    fox.until(f"document.getElementById('spoken').textContent.includes({json.dumps(words)})")


def names(fox):
    script = "JSON.stringify([...document.querySelectorAll('#layers strong')].map((e) => e.textContent))"
    return json.loads(fox.evaluate(script))


def drop(fox, name, data):
    """Drop a file on the page."""
    fox.evaluate(f"""
    (() => {{
      const bytes = Uint8Array.from(atob({json.dumps(base64.b64encode(data).decode())}), (c) => c.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], {json.dumps(name)}));
      const dropped = new DragEvent("drop", {{ bubbles: true, cancelable: true, dataTransfer }});
      document.getElementById("viewport").dispatchEvent(dropped);
    }})()
    """)


def two_layers(tmp_path, **changes):
    """A background and a foreground as a PSD, and as layers."""
    made = layers_of(9, name="Foreground", **changes)
    picture = LayeredImage(name="two", size=Size(SIDE, SIDE), layers=tuple(made[:2]))
    formats.save(picture, tmp_path / "two.psd")
    return (tmp_path / "two.psd").read_bytes(), picture


def write_prompts(fox):
    """Say what the layers of the file show."""
    for name, words in [("Foreground", SCRIPT), (names(fox)[-1], "a beach")]:
        fox.evaluate(f"""
        (() => {{
          const found = [...document.querySelectorAll("#layers li")];
          const row = found.find((e) => e.querySelector("strong").textContent === {json.dumps(name)});
          const names = row.querySelector("button.names");
          if (names.getAttribute("aria-expanded") !== "true") names.click();
          const field = document.getElementById(`${{row.dataset.key}}-prompt`);
          field.value = {json.dumps(words)};
          field.dispatchEvent(new Event("input", {{bubbles: true}}));
          field.dispatchEvent(new Event("change", {{bubbles: true}}));
        }})()
        """)


def test_a_dropped_psd_is_dragged_and_harmonised_with_the_artists_pixels(fox, server, tmp_path):
    fox.evaluate("document.getElementById('live').checked && document.getElementById('live').click()")
    data, picture = two_layers(tmp_path)
    drop(fox, "two.psd", data)
    fox.until("document.querySelectorAll('#layers li').length === 2")
    assert_same(canvas(fox), compositing.flatten(picture))
    write_prompts(fox)
    offset = picture.layers[1].offset
    fox.drag(fox.points("#canvas canvas", [(40, 40), (45, 50), (52, 58)]))
    moved = tuple(
        replace(layer, offset=(offset[0] + 12, offset[1] + 18)) if at else layer
        for at, layer in enumerate(picture.layers)
    )
    assert_same(canvas(fox), compositing.flatten(replace(picture, layers=moved)))
    fox.until("!document.getElementById('draw').disabled")
    hush(fox)
    fox.evaluate("document.getElementById('draw').click()")
    spoken(fox, "finished")
    submit = newest(server)
    (kept,) = submit.foregrounds
    assert (submit.background.kind, kept.kind, kept.x, kept.y) == ("kept", "kept", *moved[1].offset)


def test_an_export_opens_elsewhere_with_the_engines_pixels(fox):
    generate(fox, f"modes layers=4 side={SIDE}", seed=6)
    spoken(fox, "finished")
    fox.evaluate("""
    (() => {
      const make = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (blob) => ((window.saved = blob), make(blob));
    })()
    """)
    fox.until("!document.getElementById('export-psd').disabled")
    fox.evaluate("document.getElementById('export-psd').click()")
    fox.until("window.saved !== undefined")
    data = fox.evaluate("""
    new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(",")[1]);
      reader.readAsDataURL(window.saved);
    })
    """)
    found = {layer.name: layer for layer in PSDImage.open(io.BytesIO(base64.b64decode(data))).descendants()}
    for index in range(4):
        layer = scripted.in_modes(6, index, SIDE)
        pixels, seen = np.asarray(found[layer.name].topil().convert("RGBA")), layer.pixels[..., 3] > 0
        assert np.array_equal(pixels[seen], layer.pixels[seen])


def test_cancel_stops_a_picture(fox, gate):
    generate(fox, f"layers=3 {gate.word}", seed=8)
    fox.until("document.getElementById('progress-text').textContent.includes('step')")
    fox.evaluate("document.getElementById('cancel').click()")
    spoken(fox, "Cancelled")
