"""Runs a server in a thread of the test's process, which starts quickly and gives access to its objects."""

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import scripted
from layerfusion.engine.errors import EngineError
from layerfusion.server.client.client import Client
from layerfusion.server.config import ServerConfig
from layerfusion.server.errors import CannotServe
from layerfusion.server.net.app import App

SECONDS = 100
"""Longest wait for anything, in seconds: long enough for a busy machine, and less than pytest's limit of a test."""


class Running:
    """An `App` in its own thread.

    Args:
        folder: the folder of its jobs.
        load: makes the pipeline; by default the scripted one.
        config: values for `ServerConfig`.
    """

    def __init__(self, folder, load=scripted.load, **config):
        self._load = load
        self.config = ServerConfig(**{"port": 0, "folder": folder, "max_connections": 4, **config})
        self.app = None
        self._ready = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            asyncio.run(self._serve())
        except (CannotServe, EngineError) as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self):
        self.app, self._loop = App(self.config, self._load), asyncio.get_running_loop()
        serving = asyncio.create_task(self.app.run())
        while self.app.runtime is None and not serving.done():  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)
        if not serving.done():
            self._ready.set()
        await serving

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(SECONDS)
        if self._error:
            self._thread.join(SECONDS)
            raise self._error
        return self

    def __exit__(self, *_):
        self.stop()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    def stop(self):
        with contextlib.suppress(RuntimeError):  # it was stopped before
            self._loop.call_soon_threadsafe(self.app.stop)

    @property
    def runtime(self):
        return self.app.runtime

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.runtime.token}"}

    @property
    def address(self):
        """(host, port)."""
        parts = urlsplit(self.runtime.url)
        assert parts.hostname is not None
        return parts.hostname, parts.port

    def client(self):
        return Client.connect(self.runtime, timeout=SECONDS)

    def socket(self, *, compression=None, subprotocols=None, **headers):
        """A bare websocket, for frames that our client does not send. A header that is None is left out."""
        own, port = self.address
        host = headers.pop("Host", own)
        headers = {**self.headers, **headers}
        return connect(
            f"ws://{host}:{port}/",
            sock=socket.create_connection((own, port), SECONDS),
            additional_headers={name: value for name, value in headers.items() if value is not None},
            subprotocols=subprotocols,
            compression=compression,
            proxy=None,
        )

    def get(self, path="/", **headers):
        """Send a plain HTTP request and return the status and the body of the answer."""
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=SECONDS)) as request:
            request.request("GET", path, headers={**self.headers, **headers})
            answer = request.getresponse()
            return answer.status, answer.read().decode()

    def wait_until_left(self):
        """Wait until the server has seen the end of every connection. A client's `close` does not wait for that."""
        deadline = time.monotonic() + SECONDS
        while self.app._connections:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def still_serves(self):
        """Whether a client can connect. Waits for connections of the test that are still closing."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.client().close()
            except InvalidStatus:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            else:
                return True
