"""What a warm job costs beside busy programs, and in two threads: `layerfusion benchmark --busy` and `--threads`."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

TIMES = 5
LOOPS = 3
"""Programs that compute without end, beside which a job is measured."""

_SECONDS = 300
"""Longest wait for another process that loads the model; a busy machine needs some of it."""

_LOOP = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # or when whoever started it dies
while True:
    pass
"""

Job = Callable[[int], None]
"""Draws the picture of a seed."""


@dataclass(frozen=True)
class JobTimes:
    """Seconds of several warm jobs of one kind: of the processor, in all threads, and by the clock."""

    processor: tuple[float, ...]
    clock: tuple[float, ...]


@dataclass(frozen=True)
class Busy:
    """Jobs on the machine as it is, and beside `LOOPS` programs more, in turn."""

    alone: JobTimes
    beside: JobTimes

    @property
    def ratio(self) -> float:
        """Of the processor time, medians."""
        return statistics.median(self.beside.processor) / statistics.median(self.alone.processor)


@dataclass(frozen=True)
class Threads:
    """Jobs in one thread and in two, in turn; and pictures a second of two processes with one thread each."""

    one: JobTimes
    two: JobTimes
    two_workers: float

    @property
    def ratio(self) -> float:
        """How many times faster two threads are by the clock, medians."""
        return statistics.median(self.one.clock) / statistics.median(self.two.clock)

    @property
    def ratio_of_workers(self) -> float:
        """How many times more pictures two processes draw than one with one thread."""
        return self.two_workers * statistics.median(self.one.clock)


def embedded_job() -> Job:
    """A job of the embedded model with its own settings; it is loaded now."""
    from layerfusion.engine.image.geometry import Size
    from layerfusion.engine.models.catalog.registry import find_model
    from layerfusion.engine.pipeline import LayerFusionPipeline
    from layerfusion.engine.request import GenerationRequest
    from layerfusion.engine.sources import Generated

    spec = find_model("tiny")
    pipeline, side = LayerFusionPipeline(spec), spec.native_size

    def job(seed: int) -> None:
        request = GenerationRequest(
            size=Size(side, side),
            foregrounds=(Generated("a red apple"),),
            background=Generated("a beach at sunset"),
            seed=seed,
            fusion=spec.defaults.fusion,
            model=spec.name,
        )
        for _event in pipeline.generate(request):
            pass

    job(0)
    return job


def beside_busy_programs(job: Job, times: int = TIMES) -> Busy:
    """Run jobs in turn alone and beside busy programs, which this starts and ends."""
    alone, beside = [], []
    for seed in range(1, times + 1):
        alone.append(_measured(job, seed))
        with busy_programs():
            beside.append(_measured(job, seed))
    return Busy(_times(alone), _times(beside))


def in_threads(job: Job, times: int = TIMES) -> Threads:
    """Run jobs in turn in one and in two of torch's threads, and then in two processes at once."""
    from layerfusion.engine.models.runtime.devices import threads_of_torch

    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for seed in range(1, times + 1):
        for count, taken in found.items():
            with threads_of_torch(count):
                taken.append(_measured(job, seed))
    return Threads(_times(found[1]), _times(found[2]), _two_workers(times))


@contextlib.contextmanager
def busy_programs(count: int = LOOPS) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Inside the block, programs compute without end. They end with the block, and with this process."""
    command = [sys.executable, "-I", "-c", _LOOP]
    programs = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)]  # noqa: S603 - our own
    try:
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def _measured(job: Job, seed: int) -> tuple[float, float]:
    processor, clock = time.process_time(), time.monotonic()
    job(seed)
    return time.process_time() - processor, time.monotonic() - clock


def _times(found: list[tuple[float, float]]) -> JobTimes:
    return JobTimes(tuple(one for one, _ in found), tuple(two for _, two in found))


_of_this_process: Job | None = None


def _start_worker(ready: Any) -> None:
    """Load the model in a worker process, and wait until the other has, too."""
    global _of_this_process
    import torch

    torch.set_num_threads(1)
    _of_this_process = embedded_job()
    ready.wait(_SECONDS)


def _draw_in_worker(seed: int) -> None:
    assert _of_this_process is not None
    _of_this_process(seed)


def _two_workers(times: int) -> float:
    """Pictures a second of two processes with one thread each."""
    from layerfusion.engine.spawning import spawning

    with (
        spawning() as context,
        ProcessPoolExecutor(2, context, _start_worker, (context.Barrier(2),)) as pool,
    ):
        list(pool.map(_draw_in_worker, range(2)))  # the first two start the processes
        started = time.monotonic()
        list(pool.map(_draw_in_worker, range(2 * times)))
        return 2 * times / (time.monotonic() - started)
