"""A picture drawn by a server, for whoever would otherwise ask the pipeline: the same request, the same events."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from websockets.exceptions import ConnectionClosed

from layerfusion.engine import events
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.stack import LayerStack
from layerfusion.server import translate
from layerfusion.server.client.client import Client, Refusal, new_job
from layerfusion.server.client.client import Layer as ArrivedLayer
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Notice, Progress, Submit, Variant

_TRIES = 30
"""Connections that fail one after the other before a job is given up."""

_PAUSE = 2.0
"""Seconds between two of them."""


class Stopped(Exception):
    """Somebody else has cancelled a job."""


def draw(
    connect: Callable[[], Client], request: GenerationRequest, seeds: Sequence[int] = ()
) -> Generator[events.Event, None, None]:
    """Have a server draw. Closing the iterator cancels what is not drawn yet.

    A lost connection is made again and misses nothing.

    Args:
        connect: makes a connection; its client should wait for messages without a limit, as a queue may be long.
        request: what is to be drawn.
        seeds: of several pictures of the same request, at most 16, all queued at once or none; by default one picture
            with the request's own seed.

    Yields:
        for each picture `Notice`, `Progress`, `LayerReady`, and `Finished` at its end.

    Raises:
        Refusal: the server does not draw it, or failed to.
        UnsupportedVersion: the server is too old to know all that is asked for.
        Stopped: a job was cancelled elsewhere.
        OSError, ConnectionClosed, InvalidHandshake: no connection, or none any more.
    """
    client = connect()
    for pixels in translate.uploads(request):
        client.upload(pixels)
    first, *others = seeds or (request.seed,)
    variants = tuple(Variant(job=new_job(), seed=seed) for seed in others)
    submit = replace(translate.to_submit(replace(request, seed=first), new_job()), variants=variants)
    client.submit(submit)
    yield from _Following(connect, client, submit.jobs()).run()


class _Following:
    """Some jobs, one after the other, over as many connections as it takes."""

    def __init__(self, connect: Callable[[], Client], client: Client, jobs: Sequence[Submit]) -> None:
        self._connect = connect
        self._client = client
        self._jobs = deque(jobs)
        self._begin()

    def _begin(self) -> None:
        """Turn to the first of the jobs that are left."""
        self._seen = 0
        self._layers: dict[int, Layer] = {}

    def run(self) -> Iterator[events.Event]:
        try:
            while self._jobs:
                try:
                    for event in self._events(self._jobs[0]):
                        if isinstance(event, events.Finished):
                            self._jobs.popleft()
                            self._begin()
                        yield event
                except ConnectionClosed:
                    self._client = self._connect_again()
        except (GeneratorExit, KeyboardInterrupt, Refusal, Stopped):
            with contextlib.suppress(ConnectionClosed):
                for submit in reversed(self._jobs):  # the first is being drawn; none after it shall begin
                    self._client.cancel(submit.job)
                if self._jobs:
                    self._client.jobs(newest=1)  # whoever answers this has read what came before
            raise
        finally:
            self._client.close()

    def _events(self, submit: Submit) -> Iterator[events.Event]:
        """What comes of a job on this connection."""
        for event in self._client.events(submit.job):
            match event:
                case Progress() | Notice():
                    self._seen = max(self._seen, getattr(event, "seq", 0))
                    yield translate.to_event(event)
                case ArrivedLayer(begin, pixels):
                    self._seen = begin.seq
                    layer = self._layers[begin.index] = translate.to_layer(begin, pixels)
                    yield events.LayerReady(layer=layer, index=begin.index)
                case Failed():
                    self._jobs.popleft()
                    raise Refusal(event)
                case Cancelled():
                    self._jobs.popleft()
                    raise Stopped("The job was cancelled.")
                case Done():
                    self._client.acknowledge(submit.job, event.seq)
                    yield events.Finished(stack=self._stack(submit))

    def _stack(self, submit: Submit) -> LayerStack:
        layers = tuple(self._layers[index] for index in sorted(self._layers))
        return LayerStack(name=submit.title, size=Size(submit.width, submit.height), layers=layers)

    def _connect_again(self) -> Client:
        """Connect and ask for what was missed, of the first job from where it was, of the others from the beginning."""
        for tries_left in reversed(range(_TRIES)):
            try:
                client = self._connect()
                for number, submit in enumerate(self._jobs):
                    client.resume(submit.job, after=self._seen if number == 0 else 0)
                return client
            except (OSError, ConnectionClosed):
                if not tries_left:
                    raise
            time.sleep(_PAUSE)
        raise AssertionError("the last try raises")
