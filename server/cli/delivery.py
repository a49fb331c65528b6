"""How long finished layers take to a client: `layerfusion benchmark --delivery`, with a server of its own.

    python -m layerfusion.server.cli.delivery FOLDER

is that server. It keeps its data in FOLDER and runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerfusion.engine.events import Event, Finished, LayerReady
from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli.console import CommandError
from layerfusion.server.client import client as clients
from layerfusion.server.client.client import Client
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Generated, Submit
from layerfusion.server.worker.loading import Pipeline

LAYERS = 3
TIMES = 20
_SECONDS = 120
"""Longest wait for anything; a busy machine needs some of it."""


@dataclass(frozen=True)
class Delivery:
    """Times in seconds. The shortest of each kind tells least about what else the machine did.

    Attributes:
        bytes: of all layers together.
        taken: from the moment when the engine has the first layer until the client has checked the last; of every job.
        raw: of sending as many bytes through a bare socket of this machine; as often.
    """

    bytes: int
    taken: tuple[float, ...]
    raw: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return statistics.median(self.taken) / statistics.median(self.raw)


def measure(width: int, height: int, times: int = TIMES) -> Delivery:
    """Let a worker process hand over layers of random pixels, and receive them from a server.

    Args:
        width, height: size of each of the `LAYERS` layers, in pixels.
        times: how many jobs are measured; one more comes before them.

    Raises:
        CommandError: the server does not start, or a job fails.
    """
    taken, raw = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder)) as runtime,
        Client.connect(runtime, timeout=_SECONDS) as client,
    ):
        for seed in range(times + 1):
            taken.append(_deliver(client, width, height, seed))
            raw.append(_raw(LAYERS * 4 * width * height))
    return Delivery(LAYERS * 4 * width * height, tuple(taken[1:]), tuple(raw[1:]))


def _deliver(client: Client, width: int, height: int, seed: int) -> float:
    """The seconds of one job. Its pixels are new, because the store keeps what it has already."""
    source = Generated(prompt="layers")
    job = Submit(
        job=clients.new_job(),
        width=width,
        height=height,
        background=source,
        foregrounds=(source,),
        seed=seed,
        model="tiny",
    )
    client.submit(job)
    layers, arrived = [], 0.0
    for event in client.events(job.job):
        if isinstance(event, clients.Layer):
            layers.append(event)
            arrived = time.monotonic()
    if len(layers) != LAYERS:
        raise CommandError("A job of the benchmark failed; see “layerfusion doctor”.")
    client.acknowledge(job.job, LAYERS)
    return arrived - min(float(layer.begin.name) for layer in layers)


def _raw(size: int) -> float:
    """The seconds in which so many bytes pass through a connection of this machine that does nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as out:
        into, _ = listening.accept()
        with into:
            sending = threading.Thread(target=out.sendall, args=(bytes(size),))
            buffer, left = bytearray(2**18), size
            started = time.monotonic()
            sending.start()
            while left:
                left -= into.recv_into(buffer)
            taken = time.monotonic() - started
            sending.join()
    return taken


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[location.Runtime]:
    """A server in a process of its own, and how it is reached."""
    file = folder / "server.json"
    command = [sys.executable, "-P", "-m", "layerfusion.server.cli.delivery", str(folder)]
    environment = {**os.environ, "LAYERFUSION_RUNTIME": str(file)}
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
    )
    assert process.stdin is not None
    try:
        deadline = time.monotonic() + _SECONDS
        while (runtime := location.read(file)) is None or runtime.pid != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError("The benchmark's server did not start; see “layerfusion doctor”.")
            time.sleep(0.02)
        yield runtime
    finally:
        process.stdin.close()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Handing:
    """A pipeline that draws nothing: it hands over random layers, whose names are the times when it did."""

    def generate(self, request: GenerationRequest, masks: object = None, /) -> Generator[Event, None, None]:
        size, layers = request.size, []
        made = [_random(size.width, size.height, (request.seed, index)) for index in range(LAYERS)]
        for index, pixels in enumerate(made):
            role = Role.FOREGROUND if index else Role.BACKGROUND
            layers.append(Layer(name=repr(time.monotonic()), role=role, pixels=pixels))
            yield LayerReady(layer=layers[-1], index=index)
        yield Finished(stack=LayerStack(name="layers", size=size, layers=tuple(layers)))


def _random(width: int, height: int, seed: tuple[int, int]) -> Pixels:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    pixels[..., 3] = 255
    pixels.setflags(write=False)
    return pixels


def load(_model: str) -> Pipeline:
    """What the worker process loads."""
    return _Handing()


async def _serve(folder: Path) -> None:
    from layerfusion.server.config import ServerConfig
    from layerfusion.server.net.app import App

    app, loop = App(ServerConfig(port=0, folder=folder / "jobs"), load), asyncio.get_running_loop()

    def wait() -> None:
        while os.read(0, 1024):  # not `sys.stdin`, whose lock a thread must not hold when the interpreter ends
            pass
        loop.call_soon_threadsafe(app.stop)

    threading.Thread(target=wait, daemon=True).start()
    await app.run()


if __name__ == "__main__":
    from layerfusion.server.cli import delivery  # as the worker process finds `load`

    asyncio.run(delivery._serve(Path(sys.argv[1])))
