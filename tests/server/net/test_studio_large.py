"""A large canvas in the studio, in a real Chromium: the page stays usable, and its memory is bounded."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import chromium
import scripted
import studio_page
import tracing
from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from running import SECONDS
from studio_editing import detail, drag, draw, give, write
from studio_page import fill, names, newest, one, spoken, text_of, until

LONGEST = 100
"""Most milliseconds of processor time of a task of the page; longer ones are felt."""

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


@pytest.mark.timeout(400)  # 128 MiB are drawn, stored, sent and composited
def test_a_canvas_of_4096_px_never_stops_the_page(driver, server, capsys):
    prompt = "layers=2 side=4096 record"
    with server.client() as client:
        client.submit(studio_page.small_job(width=4096, height=4096, blended_prompt=prompt))
    driver.refresh()
    opener = one(driver, "#history .open")
    with tracing.traced(driver) as opening:
        opener.click()
        count = "return document.querySelectorAll('#layers li').length"
        until(lambda: driver.execute_script(count) == 2, 8 * SECONDS)
        painted = "return document.getElementById('canvas').dataset.painted"
        until(lambda: driver.execute_script(painted) == "yes", 8 * SECONDS)
    tile = "[...document.querySelectorAll('#canvas canvas')].at(-1)"  # the last of 4 x 4 of 1024 px
    script = f"return [...{tile}.getContext('2d').getImageData(4000 - 3072, 4000 - 3072, 1, 1).data]"
    bottom, top = (scripted.pixels(0, index, 4096)[4000:4001, 4000:4001] for index in range(2))
    pair = LayeredImage(
        name="p",
        size=Size(1, 1),
        layers=tuple(Layer(name="l", role=Role.BACKGROUND, pixels=each.copy()) for each in (bottom, top)),
    )
    assert np.abs(np.array(driver.execute_script(script)) - flatten(pair)[0, 0].astype(int)).max() <= 1
    with tracing.traced(driver) as dragging:
        drag(driver, (2000, 2000), (2100, 2100))
        until(lambda: driver.execute_script(painted) == "yes", 8 * SECONDS)
    memory = resident(chrome_profile(driver))
    with capsys.disabled():
        print(f"\n4096x4096, 2 layers: longest tasks {opening[0]} and {dragging[0]}; page {memory} MB")
    assert opening[0].milliseconds < LONGEST
    assert dragging[0].milliseconds < LONGEST
    assert memory is None or memory < 64 * (2 + 2) + 700  # layers and canvas, and the browser's own


@pytest.mark.parametrize("ratio", [1, 1.25])
def test_tiles_of_a_picture_have_no_seam(driver, server, tmp_path, ratio):
    colour = (200, 120, 40)
    Image.new("RGB", (2100, 1300), colour).save(tmp_path / "sand.png")
    screen = {"width": 1300, "height": 900, "deviceScaleFactor": ratio, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        give(driver, tmp_path / "sand.png")
        until(lambda: names(driver) == ["sand"])
        until(lambda: one(driver, "#canvas").get_attribute("data-painted") == "yes")
        script = "const box = document.getElementById('canvas').getBoundingClientRect();"
        edges = driver.execute_script(f"{script} return [box.left, box.top, box.right, box.bottom]")
        left, top, right, bottom = (round(edge * ratio) for edge in edges)
        shown = np.asarray(Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")).astype(int)
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    inside = shown[top + 2 : bottom - 2, left + 2 : right - 2]
    assert inside.shape[1] > 400
    assert np.abs(inside - colour).max() <= 4


def test_a_canvas_that_is_too_large_is_said_with_the_largest_of_its_shape(driver, server):
    fill(driver, "width", "4961")  # A3 at 300 dpi
    fill(driver, "height", "3508")
    until(lambda: one(driver, "#fit").is_displayed())
    assert one(driver, "#fit-text").text == "The server draws at most 4096 pixels a side. Enlarge the file afterwards."
    assert not driver.execute_script("return document.getElementById('form').checkValidity()")
    assert one(driver, "#fit").text == "Use 4096 × 2896"  # noqa: RUF001
    one(driver, "#fit").click()
    assert driver.execute_script("return ['width', 'height'].map((id) => document.getElementById(id).value)") == [
        "4096",
        "2896",
    ]
    assert not one(driver, "#fit").is_displayed()


def test_a_file_that_is_larger_than_the_server_draws_is_drawn_as_large_as_it_can(driver, server, tmp_path):
    behind = np.full((1100, 4200, 4), (90, 140, 200, 255), np.uint8)
    ball = np.full((210, 210, 4), (200, 30, 60, 255), np.uint8)
    layers = (
        Layer(name="sea", role=Role.BACKGROUND, pixels=behind),
        Layer(name="ball", role=Role.FOREGROUND, pixels=ball, offset=(2100, 420)),
    )
    formats.save(LayeredImage(name="wide", size=Size(4200, 1100), layers=layers), tmp_path / "wide.psd")
    give(driver, tmp_path / "wide.psd")
    until(lambda: names(driver) == ["ball", "sea"])
    for name, words in [("ball", "layers=2 side=64"), ("sea", "a beach")]:
        write(detail(driver, name, "prompt"), words)
    draw(driver)
    note = "It is drawn at 4096 × 1072: the server draws at most 4096 pixels a side."  # noqa: RUF001
    until(lambda: note in text_of(driver, "#notes"))
    submit = newest(server)
    (front,) = submit.foregrounds
    assert (submit.width, submit.height, submit.background.kind, front.kind) == (4096, 1072, "kept", "kept")
    assert (submit.background.width, submit.background.height) == (4096, 1072)
    part = 4096 / 4200
    assert (front.x, front.y) == (round(2100 * part), round(420 * 1072 / 1100))
    assert (front.width, front.height) == (round(210 * part), round(210 * 1072 / 1100))
    spoken(driver, "finished")


def chrome_profile(driver):
    return driver.capabilities["chrome"]["userDataDir"]


def resident(profile):
    """Megabytes of the largest page of a browser; None where the system does not tell."""
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"--type=renderer" in command and profile.encode() in command:
                sizes.append(int((process / "statm").read_text().split()[1]) * 4096 // 2**20)
        except OSError:  # it has ended
            continue
    return max(sizes, default=None)
