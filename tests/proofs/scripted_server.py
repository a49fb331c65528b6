"""A server with the scripted engine in its own process; the proofs kill it or put load on it.

    python scripted_server.py FOLDER [NAME=VALUE ...]

FOLDER gets `server.json` (the runtime file), `jobs`, and `busy.json` (the longest time for which the event loop was
busy without a pause). NAME is a field of `ServerConfig`. The server runs until it is stopped or its standard input
ends.
"""

import asyncio
import contextlib
import gc
import json
import os
import selectors
import sys
import threading
import time
from pathlib import Path

import scripted

# The server is imported by the functions that need it: a worker process that starts imports this file, too.


class Watched(selectors.DefaultSelector):
    """Measures how long the event loop is busy between two waits; it serves no client during that time.

    Attributes:
        wall: the longest time in seconds by the wall clock; on a busy machine this includes the work of others.
        cpu: the longest time in seconds of this thread's CPU time.
    """

    def __init__(self):
        super().__init__()
        self.wall = self.cpu = 0.0
        self._since = None

    def select(self, timeout=None):
        now, worked = time.perf_counter(), time.thread_time()
        if self._since is not None:
            self.wall = max(self.wall, now - self._since[0])
            self.cpu = max(self.cpu, worked - self._since[1])
        try:
            return super().select(timeout)
        finally:
            self._since = time.perf_counter(), time.thread_time()


def stop_at_end_of_input(app, loop):
    while os.read(0, 1024):  # not `sys.stdin`, whose lock a thread must not hold when the interpreter ends
        pass
    loop.call_soon_threadsafe(app.stop)


async def serve(folder, config, watched):
    from layerfusion.server.net.app import App
    from layerfusion.server.net.signals import stopping

    app = App(config, scripted.load)
    loop = asyncio.get_running_loop()
    threading.Thread(target=stop_at_end_of_input, args=(app, loop), daemon=True).start()
    with stopping(app.stop):
        serving = asyncio.create_task(app.run())
        while app.runtime is None and not serving.done():  # noqa: ASYNC110 - from here on it counts
            await asyncio.sleep(0.01)
        watched.wall = watched.cpu = 0.0
        await serving
    (folder / "busy.json").write_text(json.dumps({"wall": watched.wall, "cpu": watched.cpu}))


def read(text):
    """A number, or else a text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def main():
    from layerfusion.server.config import ServerConfig
    from layerfusion.server.net import housekeeping

    folder = Path(sys.argv[1])
    os.environ["LAYERFUSION_RUNTIME"] = str(folder / "server.json")
    values = dict(argument.split("=", 1) for argument in sys.argv[2:])
    housekeeping._PRUNE_SECONDS = float(values.pop("prune_seconds", 600))
    given = {name: read(value) for name, value in values.items()}
    devices = (None,)
    if given.get("executor") != "ray":
        devices *= int(given.pop("workers", 1))
    config = ServerConfig(port=0, folder=folder / "jobs", devices=devices, **given)
    watched = Watched()
    gc.freeze()  # as `serve` does
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(watched)) as runner:
        runner.run(serve(folder, config, watched))


if __name__ == "__main__":
    main()
