"""How long finished layers take to a client: `layerfusion benchmark --delivery`, with a server of its own.

    python -m layerfusion.server.cli.delivery FOLDER

is that server. It keeps its data in FOLDER and runs until its standard input ends. For every byte that it reads there,
it prints a line: `_SPENT`, and the seconds of the processor that it has taken.
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
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from layerfusion.engine.events import Event, Finished, LayerReady
from layerfusion.engine.image.layers import Layer, Pixels, Role
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli.console import CommandError
from layerfusion.server.cli.timings import JobTimes, job_times, measured
from layerfusion.server.client import client as clients
from layerfusion.server.client.client import Client
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Generated, Submit
from layerfusion.server.worker.loading import Pipeline

LAYERS = 3
TIMES = 20
_SECONDS = 120
"""Longest wait for anything; a busy machine needs some of it."""

_SPENT = "processor seconds:"
"""Begins the lines in which the server says what it has taken, so that other lines can be left out."""


@dataclass(frozen=True)
class Delivery:
    """Times in seconds. By the clock, the shortest of each kind tells least about what else the machine did.

    Attributes:
        bytes: of all layers together.
        taken: by the clock, from the moment when the engine has the first layer until the client has checked the last;
            of every job.
        worker: of the processor, from that moment until the drawing process begins the next job.
        server: of the processor, for the whole of a job that draws nothing.
        client: likewise.
        raw: of sending as many bytes through a bare socket of this machine, as often: processor time and clock.
    """

    bytes: int
    taken: tuple[float, ...]
    worker: tuple[float, ...]
    server: tuple[float, ...]
    client: tuple[float, ...]
    raw: JobTimes

    @property
    def ratio(self) -> float:
        """By the clock, medians."""
        return statistics.median(self.taken) / statistics.median(self.raw.clock)

    @property
    def ratio_of_processor(self) -> float:
        """Of the processor time of all three processes, medians."""
        parts = sum(statistics.median(part) for part in (self.worker, self.server, self.client))
        return parts / statistics.median(self.raw.processor)


def measure(width: int, height: int, times: int = TIMES) -> Delivery:
    """Let a worker process hand over layers of random pixels, and receive them from a server.

    Args:
        width, height: size of each of the `LAYERS` layers, in pixels.
        times: how many jobs are measured; one more comes before them, and one after them.

    Raises:
        CommandError: the server does not start, or a job fails.
    """
    size = LAYERS * 4 * width * height
    jobs, server, own, raw = list[_Delivered](), list[float](), list[float](), list[tuple[float, float]]()
    with (
        tempfile.TemporaryDirectory() as folder,
        _server(Path(folder)) as (runtime, spent),
        Client.connect(runtime, timeout=_SECONDS) as client,
    ):
        for seed in range(times + 2):
            before = spent()
            own.append(measured(lambda seed=seed: jobs.append(_deliver(client, width, height, seed)))[0])
            server.append(spent() - before)
            raw.append(_raw(size))
    # The drawing process says at the beginning of a job what it has taken for the one before.
    worker = [after.begun - job.handing for job, after in pairwise(jobs)]
    kept = slice(1, times + 1)
    return Delivery(
        bytes=size,
        taken=tuple(job.taken for job in jobs[kept]),
        worker=tuple(worker[kept]),
        server=tuple(server[kept]),
        client=tuple(own[kept]),
        raw=job_times(raw[kept]),
    )


@dataclass(frozen=True)
class _Delivered:
    """One job: seconds by the clock, and what the drawing process had computed before it and at its first layer."""

    taken: float
    begun: float
    handing: float


def _deliver(client: Client, width: int, height: int, seed: int) -> _Delivered:
    """Receive one job. Its pixels are new, because the store keeps what it has already."""
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
    left, begun, handing = min(tuple(map(float, layer.begin.name.split())) for layer in layers)
    return _Delivered(arrived - left, begun, handing)


def _raw(size: int) -> tuple[float, float]:
    """The seconds in which so many bytes pass through a connection of this machine that does nothing else: of the
    processor, at both ends, and by the clock."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as out:
        into, _ = listening.accept()
        with into:
            sending = threading.Thread(target=out.sendall, args=(bytes(size),))
            buffer, left = bytearray(2**18), size
            processor, started = time.process_time(), time.monotonic()
            sending.start()
            while left:
                left -= into.recv_into(buffer)
            taken = time.monotonic() - started
            sending.join()
            return time.process_time() - processor, taken


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[tuple[location.Runtime, Callable[[], float]]]:
    """A server in a process of its own: how it is reached, and what asks for the processor time that it took."""
    file = folder / "server.json"
    command = [sys.executable, "-P", "-m", "layerfusion.server.cli.delivery", str(folder)]
    environment = {**os.environ, "LAYERFUSION_RUNTIME": str(file)}
    process = subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
    )
    asking, answers = process.stdin, process.stdout
    assert asking is not None and answers is not None

    def spent() -> float:
        asking.write(b"?")
        for line in iter(answers.readline, b""):
            if line.startswith(_SPENT.encode()):
                return float(line.removeprefix(_SPENT.encode()))
        raise CommandError("The benchmark's server ended; see “layerfusion doctor”.")

    try:
        deadline = time.monotonic() + _SECONDS
        while (runtime := location.read(file)) is None or runtime.pid != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError("The benchmark's server did not start; see “layerfusion doctor”.")
            time.sleep(0.02)
        yield runtime, spent
    finally:
        asking.close()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        answers.close()


class _Handing:
    """A pipeline that draws nothing: it hands over random layers. Their names are three times in seconds: when it did,
    and the processor time that the process had taken when the job began, and when all layers were made."""

    def generate(self, request: GenerationRequest, masks: object = None, /) -> Generator[Event, None, None]:
        begun, size, layers = time.process_time(), request.size, []
        made = [_random(size.width, size.height, (request.seed, index)) for index in range(LAYERS)]
        handing = time.process_time()
        for index, pixels in enumerate(made):
            role = Role.FOREGROUND if index else Role.BACKGROUND
            layers.append(Layer(name=f"{time.monotonic()!r} {begun!r} {handing!r}", role=role, pixels=pixels))
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
        while os.read(0, 1):  # not `sys.stdin`, whose lock a thread must not hold when the interpreter ends
            os.write(1, f"\n{_SPENT} {time.process_time()!r}\n".encode())
        loop.call_soon_threadsafe(app.stop)

    threading.Thread(target=wait, daemon=True).start()
    await app.run()


if __name__ == "__main__":
    from layerfusion.server.cli import delivery  # as the worker process finds `load`

    asyncio.run(delivery._serve(Path(sys.argv[1])))
