"""What the main thread of a page in Chromium does, by the browser's own trace."""

import contextlib
import json
import urllib.request
from typing import NamedTuple

from websockets.sync.client import connect

from running import SECONDS

CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
TASK = "ThreadControllerImpl::RunTask"


class Task(NamedTuple):
    """What the main thread did without a pause: how long, and what took the most of it."""

    milliseconds: float
    parts: list[str]


@contextlib.contextmanager
def traced(driver):
    """A list that has the tasks of the page's main thread after the block, the longest first.

    It is the processor's time: while the thread waits for a processor does not count, so that a busy machine says the
    same."""
    address = driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
    with urllib.request.urlopen(f"http://{address}/json", timeout=SECONDS) as answer:
        (page,) = (each for each in json.load(answer) if each["type"] == "page")
    tasks = []
    with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None, open_timeout=SECONDS) as devtools:
        config = {"includedCategories": CATEGORIES, "recordMode": "recordUntilFull", "traceBufferSizeInKb": 200_000}
        _call(devtools, "Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
        yield tasks
        devtools.send(json.dumps({"id": 2, "method": "Tracing.end"}))
        events = []
        while (message := json.loads(devtools.recv(4 * SECONDS))).get("method") != "Tracing.tracingComplete":
            events += message.get("params", {}).get("value", [])
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    own = [event for event in events if "tdur" in event and (event["pid"], event["tid"]) in threads]
    longest = sorted((event for event in own if event["name"] == TASK), key=lambda event: -event["tdur"])
    tasks += [Task(event["tdur"] / 1000, _parts(event, own) if at < 3 else []) for at, event in enumerate(longest)]


def _parts(task, events):
    within = [each for each in events if task["ts"] < each["ts"] < task["ts"] + task["dur"]]
    within.sort(key=lambda event: -event["tdur"])
    return [f"{event['name']} {event['tdur'] / 1000:.0f}" for event in within[:8]]


def _call(devtools, method, params):
    devtools.send(json.dumps({"id": 1, "method": method, "params": params}))
    while json.loads(devtools.recv(SECONDS)).get("id") != 1:
        pass
