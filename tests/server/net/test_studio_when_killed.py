"""The server is killed while a picture of the studio is drawn, and is started again."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import chromium
import scripted
from chromium import wait_for
from layerfusion.server.protocol import location
from running import SECONDS
from studio_page import generate, names, one, spoken, text_of, until

pytestmark = chromium.NEEDED

SERVE = """
import sys, time
from pathlib import Path
import scripted
from running import Running
with Running(Path(sys.argv[1]), scripted.load, port=int(sys.argv[2])):
    time.sleep(3600)
"""


class Served:
    """What `chromium.sign_in` needs of a server in another process."""

    def __init__(self, runtime):
        self.runtime = runtime


def start(folder, port):
    support = Path(chromium.__file__).parent
    paths = [support, Path(scripted.__file__).parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(folder), str(port)], env=environment)
    deadline = time.monotonic() + 2 * SECONDS
    while (runtime := location.read()) is None or runtime.pid != process.pid:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    return process, Served(runtime)


def test_a_killed_server_costs_the_picture_that_was_drawn_and_nothing_else(tmp_path, gate, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process, served = start(tmp_path / "jobs", port)
    try:
        with chromium.opened(tmp_path / "profile") as driver:
            chromium.sign_in(driver, served, "studio")
            wait_for(driver, "Your pictures are kept here.")
            generate(driver, "layers=1")
            spoken(driver, "finished")
            generate(driver, f"layers=2 {gate.word}")
            until(lambda: "step" in text_of(driver, "#progress-text"))
            process.kill()
            process.wait(SECONDS)
            wait_for(driver, "The server does not answer.")
            process, _ = start(tmp_path / "jobs", port)
            until(lambda: not one(driver, "#link").is_displayed())
            until(lambda: "interrupted" in text_of(driver, "#history"))
            until(lambda: driver.find_elements("css selector", "#problems .problem button"))
            again = one(driver, "#problems .problem button")
            assert again.text == "Draw it again"
            again.click()
            gate.open()
            spoken(driver, "finished")
            assert names(driver) == ["Layer 1", "Layer 0"]
            assert len(driver.find_elements("css selector", "#history li")) == 3
    finally:
        process.kill()
        process.wait(SECONDS)
