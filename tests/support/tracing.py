"""What the main thread of a page in Chromium does, by the browser's own trace."""

import contextlib
import json
import urllib.request

from websockets.sync.client import connect

from running import SECONDS

CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline"]
TASK = "ThreadControllerImpl::RunTask"


@contextlib.contextmanager
def traced(driver):
    """A list that has the tasks of the page's main thread after the block: milliseconds of processor time, the longest
    first. Time that the thread waits for a processor does not count, so that they say the same on a busy machine."""
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
    own = (event for event in events if event["name"] == TASK and (event["pid"], event["tid"]) in threads)
    tasks += sorted((event["tdur"] / 1000 for event in own if "tdur" in event), reverse=True)


def _call(devtools, method, params):
    devtools.send(json.dumps({"id": 1, "method": method, "params": params}))
    while json.loads(devtools.recv(SECONDS)).get("id") != 1:
        pass
