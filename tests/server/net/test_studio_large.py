"""A large canvas in the studio, in a real Chromium: the page stays usable, and its memory is bounded."""

from pathlib import Path

import numpy as np
import pytest

import chromium
import scripted
import studio_page
import tracing
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from running import SECONDS
from studio_editing import drag
from studio_page import one, until

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
    script = "return [...document.getElementById('canvas').getContext('2d').getImageData(4000, 4000, 1, 1).data]"
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
        print(f"\n4096x4096, 2 layers: longest tasks {opening[0]:.0f} and {dragging[0]:.0f} ms, page {memory} MB")
    assert opening[0] < LONGEST
    assert dragging[0] < LONGEST
    assert memory is None or memory < 64 * (2 + 2) + 700  # layers and canvas, and the browser's own


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
