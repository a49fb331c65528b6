"""What a second thread and a second process bring to a warm job: `layerfusion benchmark --threads`."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from layerfusion.engine.diffusion.observer import Observer
from layerfusion.engine.models.runtime.devices import threads_of_torch
from layerfusion.engine.spawning import spawning
from layerfusion.server.cli import warm
from layerfusion.server.cli.timings import TIMES, JobTimes, job_times, measured
from layerfusion.server.cli.warm import Job

_SECONDS = 300
"""Longest wait for another process that loads the model; a busy machine needs some of it."""


@dataclass(frozen=True)
class Threads:
    """Jobs in one thread and in two, in turn; and jobs in two processes at once, with one thread each.

    Attributes:
        longest: processor seconds of the jobs in two threads, where of threads that decode at the same time only the
            longest counts. So long would such a job take by the clock if nothing else ran on the machine.
        workers: of two processes. The processor's time is the mean of a job in each; the clock's is that of the pair.
    """

    one: JobTimes
    two: JobTimes
    longest: tuple[float, ...]
    workers: JobTimes

    @property
    def ratio(self) -> float:
        """How many times faster two threads are, by processor time; medians."""
        return statistics.median(self.one.processor) / statistics.median(self.longest)

    @property
    def ratio_of_workers(self) -> float:
        """How many times more pictures two processes draw than one with one thread, by processor time; medians."""
        return 2 * statistics.median(self.one.processor) / statistics.median(self.workers.processor)


class DecodingThreads(Observer):
    """Finds out what the threads compute that a job has only for decoding its pictures."""

    def __init__(self) -> None:
        self._job = threading.get_ident()
        self._spent: dict[int, float] = {}

    def decoded(self, stream: int) -> None:
        if threading.get_ident() != self._job:
            self._spent[threading.get_ident()] = time.thread_time()

    @property
    def beside_the_longest(self) -> float:
        """Processor seconds of all of them but the one that computed longest."""
        return sum(self._spent.values()) - max(self._spent.values(), default=0.0)


def in_threads(job: Job, times: int = TIMES) -> Threads:
    """Run jobs in turn in one and in two of torch's threads, and then in two processes at once."""
    one, two, longest = [], [], []
    for seed in range(1, times + 1):
        with threads_of_torch(1):
            one.append(measured(lambda seed=seed: job(seed, DecodingThreads())))
        threads = DecodingThreads()
        with threads_of_torch(2):
            two.append(measured(lambda seed=seed, threads=threads: job(seed, threads)))
        longest.append(two[-1][0] - threads.beside_the_longest)
    return Threads(job_times(one), job_times(two), tuple(longest), _two_workers(times))


_of_this_process: Job | None = None


def _start_worker(ready: Any) -> None:
    """Load the model in a worker process, and wait until the other has, too."""
    global _of_this_process
    torch.set_num_threads(1)
    _of_this_process = warm.embedded_job()
    ready.wait(_SECONDS)


def _draw_in_worker(seed: int) -> float:
    """The processor time of a job."""
    job = _of_this_process
    assert job is not None
    return measured(lambda: job(seed))[0]


def _two_workers(times: int) -> JobTimes:
    """Pairs of jobs in two processes with one thread each."""
    found = []
    with (
        spawning() as context,
        ProcessPoolExecutor(2, context, _start_worker, (context.Barrier(2),)) as pool,
    ):
        list(pool.map(_draw_in_worker, range(2)))  # the first two start the processes
        for seed in range(1, times + 1):
            started = time.monotonic()
            pair = list(pool.map(_draw_in_worker, (seed, seed)))
            found.append((statistics.mean(pair), time.monotonic() - started))
    return job_times(found)
