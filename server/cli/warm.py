"""A warm job of the embedded model, and what it costs beside busy programs: `layerfusion benchmark --busy`."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from layerfusion.server.cli.timings import TIMES, JobTimes, job_times, measured

if TYPE_CHECKING:
    from layerfusion.engine.diffusion.observer import Observer

LOOPS = 3
"""Programs that compute without end, beside which a job is measured."""

_LOOP = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()  # or when whoever started it dies
while True:
    pass
"""


class Job(Protocol):
    """Draws the picture of a seed; an observer is called as a pipeline's is."""

    def __call__(self, seed: int, observer: Observer | None = None, /) -> object: ...


@dataclass(frozen=True)
class Busy:
    """Jobs on the machine as it is, and beside `LOOPS` programs more, in turn."""

    alone: JobTimes
    beside: JobTimes

    @property
    def ratio(self) -> float:
        """Of the processor time, medians."""
        return statistics.median(self.beside.processor) / statistics.median(self.alone.processor)


def embedded_job() -> Job:
    """A job of the embedded model with its own settings; it is loaded now."""
    from layerfusion.engine.image.geometry import Size
    from layerfusion.engine.models.catalog.registry import find_model
    from layerfusion.engine.pipeline import LayerFusionPipeline
    from layerfusion.engine.request import GenerationRequest
    from layerfusion.engine.sources import Generated

    spec = find_model("tiny")
    pipeline, side = LayerFusionPipeline(spec), spec.native_size

    def job(seed: int, observer: Observer | None = None, /) -> None:
        request = GenerationRequest(
            size=Size(side, side),
            foregrounds=(Generated("a red apple"),),
            background=Generated("a beach at sunset"),
            seed=seed,
            fusion=spec.defaults.fusion,
            model=spec.name,
        )
        for _event in pipeline.generate(request, observer):
            pass

    job(0)
    return job


def beside_busy_programs(job: Job, times: int = TIMES) -> Busy:
    """Run jobs in turn alone and beside busy programs, which this starts and ends."""
    alone, beside = [], []
    for seed in range(1, times + 1):
        alone.append(measured(lambda seed=seed: job(seed)))
        with busy_programs():
            beside.append(measured(lambda seed=seed: job(seed)))
    return Busy(job_times(alone), job_times(beside))


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
