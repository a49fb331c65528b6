"""A picture drawn by a server, for whoever would otherwise ask the pipeline: the same request, the same events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator

from websockets.exceptions import ConnectionClosed

from layerfusion.engine import events
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.stack import LayerStack
from layerfusion.server import translate
from layerfusion.server.client.client import Client, Refusal, new_job
from layerfusion.server.client.client import Layer as ArrivedLayer
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Notice, Progress, Submit

_TRIES = 30
"""Connections that fail one after the other before a job is given up."""

_PAUSE = 2.0
"""Seconds between two of them."""


class Stopped(Exception):
    """Somebody else has cancelled the job."""


def draw(connect: Callable[[], Client], request: GenerationRequest) -> Generator[events.Event, None, None]:
    """Have a server draw. Closing the iterator cancels the job; a lost connection is made again and misses nothing.

    Args:
        connect: makes a connection; its client should wait for messages without a limit, as a queue may be long.
        request: what is to be drawn.

    Yields:
        `Notice`, `Progress`, `LayerReady`, and `Finished` at the end.

    Raises:
        Refusal: the server does not draw it, or failed to.
        UnsupportedVersion: the server is too old to know all that is asked for.
        Stopped: the job was cancelled elsewhere.
        OSError, ConnectionClosed, InvalidHandshake: no connection, or none any more.
    """
    client = connect()
    for pixels in translate.uploads(request):
        client.upload(pixels)
    submit = translate.to_submit(request, new_job())
    client.submit(submit)
    yield from _Following(connect, client, submit).run()


class _Following:
    """One job, over as many connections as it takes."""

    def __init__(self, connect: Callable[[], Client], client: Client, submit: Submit) -> None:
        self._connect = connect
        self._client = client
        self._submit = submit
        self._seen = 0
        self._layers: dict[int, Layer] = {}

    def run(self) -> Iterator[events.Event]:
        over = False
        try:
            while not over:
                try:
                    for event in self._events():
                        over = isinstance(event, events.Finished)
                        yield event
                except ConnectionClosed:
                    self._client = self._connect_again()
        except (GeneratorExit, KeyboardInterrupt):
            with contextlib.suppress(ConnectionClosed):
                self._client.cancel(self._submit.job)
            raise
        finally:
            self._client.close()

    def _events(self) -> Iterator[events.Event]:
        """What comes on this connection."""
        for event in self._client.events(self._submit.job):
            match event:
                case Progress() | Notice():
                    self._seen = max(self._seen, getattr(event, "seq", 0))
                    yield translate.to_event(event)
                case ArrivedLayer(begin, pixels):
                    self._seen = begin.seq
                    layer = self._layers[begin.index] = translate.to_layer(begin, pixels)
                    yield events.LayerReady(layer=layer, index=begin.index)
                case Failed():
                    raise Refusal(event)
                case Cancelled():
                    raise Stopped("The job was cancelled.")
                case Done():
                    self._client.acknowledge(self._submit.job, event.seq)
                    yield events.Finished(stack=self._stack())

    def _stack(self) -> LayerStack:
        layers = tuple(self._layers[index] for index in sorted(self._layers))
        return LayerStack(name=self._submit.title, size=Size(self._submit.width, self._submit.height), layers=layers)

    def _connect_again(self) -> Client:
        """Connect and ask for what was missed."""
        for tries_left in reversed(range(_TRIES)):
            try:
                client = self._connect()
                client.resume(self._submit.job, after=self._seen)
                return client
            except (OSError, ConnectionClosed):
                if not tries_left:
                    raise
            time.sleep(_PAUSE)
        raise AssertionError("the last try raises")
