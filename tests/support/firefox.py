"""Firefox over WebDriver BiDi, which it speaks by itself: no geckodriver is needed."""

import contextlib
import itertools
import json
import re
import shutil
import subprocess
import time

import pytest
from websockets.sync.client import connect

from running import SECONDS

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
NEEDED = pytest.mark.skipif(FIREFOX is None, reason="firefox is not installed")
"""The mark of a module whose tests need it."""

START_SECONDS = 90
PREFERENCES = """
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("toolkit.telemetry.enabled", false);
"""


class Firefox:
    """One window of a browser without a screen."""

    def __init__(self, socket):
        self._socket = socket
        self._numbers = itertools.count(1)
        self.send("session.new", capabilities={})
        (self._context,) = [each["context"] for each in self.send("browsingContext.getTree")["contexts"]]

    def send(self, method, **params):
        """The result of a command."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(SECONDS))).get("id") != number:
            pass
        assert answer["type"] == "success", answer
        return answer["result"]

    def get(self, url):
        self.send("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def reload(self):
        self.send("browsingContext.reload", context=self._context, wait="complete")

    def evaluate(self, script):
        """The value of an expression: text, number, bool or None. A promise is awaited."""
        target = {"context": self._context}
        result = self.send("script.evaluate", expression=script, target=target, awaitPromise=True)
        assert result["type"] == "success", result
        return result["result"].get("value")

    def points(self, selector, places):
        """Points of a picture as points of the window.

        Args:
            selector: its canvas.
            places: (x, y) in the picture's pixels.
        """
        values = self.evaluate(f"""
        (() => {{
          const tile = document.querySelector({json.dumps(selector)});
          const box = tile.getBoundingClientRect();
          const scale = box.width / tile.width;
          return JSON.stringify({json.dumps(places)}.map(([x, y]) => [box.left + x * scale, box.top + y * scale]));
        }})()
        """)
        return [(round(x), round(y)) for x, y in json.loads(values)]

    def drag(self, points):
        """Press at the first point of the window, move to the others, and release."""
        (x, y), *ways = points
        moves = [{"type": "pointerMove", "x": x, "y": y} for x, y in ways]
        actions = [{"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0}, *moves]
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        pointer["actions"] = [*actions, {"type": "pointerUp", "button": 0}]
        self.send("input.performActions", context=self._context, actions=[pointer])

    def until(self, script):
        """Wait until an expression is true, and return its value."""
        deadline = time.monotonic() + SECONDS
        while not (value := self.evaluate(script)):
            assert time.monotonic() < deadline, script
            time.sleep(0.1)
        return value


@contextlib.contextmanager
def opened(profile):
    """A browser with an empty profile in the given folder."""
    (profile / "user.js").write_text(PREFERENCES)
    output = profile / "output.txt"
    command = [FIREFOX, "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)]
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        with connect(f"{_address(output, process)}/session", max_size=None, proxy=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(SECONDS)


def _address(output, process):
    deadline = time.monotonic() + START_SECONDS
    while not (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", output.read_text())):
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    return found[1]
