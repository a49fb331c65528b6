"""What a benchmark measures, and the one form in which `layerfusion benchmark --json` says it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIMES = 5
"""How often a job is timed if nothing else is asked for."""


@dataclass(frozen=True)
class JobTimes:
    """Seconds of several warm jobs of one kind: of the processor, in all threads, and by the clock."""

    processor: tuple[float, ...]
    clock: tuple[float, ...]


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """The seconds of one run: of the processor, user and system, in all threads of this process, and by the clock."""
    processor, clock = time.process_time(), time.monotonic()
    work()
    return time.process_time() - processor, time.monotonic() - clock


def job_times(found: Sequence[tuple[float, float]]) -> JobTimes:
    """Several results of `measured`."""
    return JobTimes(tuple(one for one, _ in found), tuple(two for _, two in found))


def figures(
    benchmark: str,
    processor: Mapping[str, Sequence[float]],
    clock: Mapping[str, Sequence[float]] | None = None,
    ratios: Mapping[str, float] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """The figures of a benchmark as plain values, every run of every row.

    Args:
        benchmark: its option, without the dashes.
        processor: row -> seconds of the processor, user and system, in all threads, of every run.
        clock: row -> seconds by the clock, of every run; None if they say nothing.
        ratios: what is made of the rows' medians.
        facts: whatever else belongs to them, as JSON knows it.
    """
    rows = {name: list(values) for name, values in processor.items()}
    said = {"benchmark": benchmark, "runs": min(map(len, rows.values())), "processor": rows}
    if clock is not None:
        said["clock"] = {name: list(values) for name, values in clock.items()}
    return {**said, "ratios": {name: round(value, 4) for name, value in (ratios or {}).items()}, **facts}
