"""Draws a request on a server. It takes the same requests as the local pipeline and yields the same events."""

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
"""Attempts to connect again before a job is given up."""

_PAUSE = 2.0
"""Seconds between two attempts."""


class Stopped(Exception):
    """Another client has cancelled a job."""


def draw(
    connect: Callable[[], Client], request: GenerationRequest, seeds: Sequence[int] = ()
) -> Generator[events.Event, None, None]:
    """Draw a request on a server. Closing the iterator cancels the pictures that are not finished.

    If the connection is lost, it is made again, and no event is missed. An upload goes on where it was interrupted.

    Args:
        connect: makes a connection; its client should have no timeout, because a queue may be long.
        request: the request to draw.
        seeds: seeds of several pictures of the request, at most 16, which are queued all or none; by default there is
            one picture with the request's own seed.

    Yields:
        for each picture `Notice`, `Progress`, `LayerReady`, and `Finished` at its end.

    Raises:
        Refusal: the server did not accept the request, or drawing failed.
        UnsupportedVersion: the server is too old for some fields of the request.
        Stopped: a job was cancelled by another client.
        OSError, ConnectionClosed, InvalidHandshake: the connection failed, at first or after all attempts.
    """
    first, *others = seeds or (request.seed,)
    variants = tuple(Variant(job=new_job(), seed=seed) for seed in others)
    submit = replace(translate.to_submit(replace(request, seed=first), new_job()), variants=variants)
    client = _submitted(connect, list(translate.uploads(request)), submit)
    yield from _Following(connect, client, submit.jobs()).run()


def _submitted(connect: Callable[[], Client], uploads: Sequence[bytes], submit: Submit) -> Client:
    """A connection over which a submission was accepted, after its uploads. All of it is repeated over a further
    connection if one is lost: what the server has already is not sent again, and the same submission is one job."""
    lost = False
    for tries_left in reversed(range(_TRIES)):
        client = None
        try:
            client = connect()
            for pixels in uploads:
                client.upload(pixels)
            client.submit(submit)
            return client
        except BaseException as error:
            if client is not None:
                client.close()
            lost = lost or isinstance(error, ConnectionClosed)
            if not (tries_left and lost and isinstance(error, (OSError, ConnectionClosed))):
                raise
        time.sleep(_PAUSE)
    raise AssertionError("the last try raises")


class _Following:
    """Yields the events of jobs, one job after the other, and connects again when the connection is lost."""

    def __init__(self, connect: Callable[[], Client], client: Client, jobs: Sequence[Submit]) -> None:
        self._connect = connect
        self._client = client
        self._jobs = deque(jobs)
        self._begin()

    def _begin(self) -> None:
        """Start with the first of the remaining jobs."""
        self._seen = 0
        self._begun = b""
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
                for submit in reversed(self._jobs):  # the first is being drawn; after its end no other may begin
                    self._client.cancel(submit.job)
                if self._jobs:
                    self._client.jobs(newest=1)  # the answer shows that the server has read the messages before it
            raise
        finally:
            self._client.close()

    def _events(self, submit: Submit) -> Iterator[events.Event]:
        """The events of a job on this connection, as the engine's events."""
        for event in self._client.events(submit.job):
            match event:
                case Progress() | Notice():
                    self._seen = max(self._seen, getattr(event, "seq", 0))
                    yield translate.to_event(event)
                case ArrivedLayer(begin, pixels):
                    self._seen, self._begun = begin.seq, b""
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
                    yield events.Finished(stack=self._stack(submit, event.record))

    def _stack(self, submit: Submit, record: str) -> LayerStack:
        layers = tuple(self._layers[index] for index in sorted(self._layers))
        stack = LayerStack(name=submit.title, size=Size(submit.width, submit.height), layers=layers)
        return translate.with_stated_records(stack, record)

    def _connect_again(self) -> Client:
        """Connect and resume the jobs: the first after its last received event, the others from their beginning."""
        self._begun = self._client.unfinished(self._jobs[0].job, self._seen + 1) or self._begun
        for tries_left in reversed(range(_TRIES)):
            try:
                client = self._connect()
                for number, submit in enumerate(self._jobs):
                    if number == 0:
                        client.resume(submit.job, after=self._seen, begun=self._begun)
                    else:
                        client.resume(submit.job)
                return client
            except (OSError, ConnectionClosed):
                if not tries_left:
                    raise
            time.sleep(_PAUSE)
        raise AssertionError("the last try raises")
