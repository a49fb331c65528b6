"""What `layerfusion benchmark` times instead of counting: what each option says, and its figures as plain values."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.importing import paused_collection
from layerfusion.server.cli.timings import TIMES, figures


@dataclass(frozen=True)
class Timed:
    """What was found.

    Attributes:
        figures: for a program; see `timings.figures`.
        lines: for a person.
    """

    figures: dict[str, Any]
    lines: list[str]


def _drawing(arguments: Namespace) -> Timed:
    """Every preset of the embedded model beside a stock picture."""
    with paused_collection():
        from layerfusion.engine.models.catalog.registry import find_model
        from layerfusion.server.cli.drawing import STOCK, measure

    found = measure(find_model("tiny"), arguments.times or TIMES, arguments.steps)
    whole = {preset: [job.whole for job in jobs] for preset, jobs in found.jobs.items()}
    ratios: dict[str, float] = {}
    lines = [
        f"{'':<14}{'seconds':>9}{'to stock':>10}{'first preview':>15}{'each picture of a preview':>27}",
        f"{STOCK:<14}{median(found.stock):>9.3f}{1:>10.2f}",
    ]
    for preset in found.jobs:
        stock, first, each = found.to_stock(preset), found.first_preview(preset), found.each_preview(preset)
        ratios |= {f"{preset} to stock": stock, f"{preset}, first preview": first, f"{preset}, each preview": each}
        lines += [f"{preset:<14}{median(whole[preset]):>9.3f}{stock:>10.2f}{first:>15.2f}{100 * each:>25.1f} %"]
    runs = len(found.stock)
    lines += [f"processor time of one thread, medians of {runs}; previews: as a share of the job"]
    parts = {preset: [dict(job.parts) for job in jobs] for preset, jobs in found.jobs.items()}
    previews = {preset: jobs[0].previews for preset, jobs in found.jobs.items()}
    return Timed(figures("drawing", {STOCK: found.stock, **whole}, None, ratios, parts=parts, previews=previews), lines)


def _finishing(arguments: Namespace) -> Timed:
    """A job's end, in parts."""
    with paused_collection():
        from layerfusion.engine.profiling.finishing import measure

    canvas = arguments.size
    working = Size(max(1, canvas.width // 2), max(1, canvas.height // 2))
    with tempfile.TemporaryDirectory() as folder:
        cost = measure(canvas, working, Path(folder) / "scripted.psd")
    parts = {"enlarging": cost.enlarging, "Shadow, Light": cost.shadow_and_light, "writing PSD": cost.writing}
    found = {**parts, "all": cost.total}
    lines = [
        f"{name:<14}{seconds:>7.2f} s of processor time, {canvas} px drawn at {working} px"
        for name, seconds in found.items()
    ]
    return Timed(figures("finishing", _once(found), size=[canvas.width, canvas.height]), lines)


def _delivery(arguments: Namespace) -> Timed:
    """Layers on their way to a client."""
    from layerfusion.server.cli.delivery import LAYERS, TIMES, measure

    size = arguments.size
    found = measure(size.width, size.height, arguments.times or TIMES)
    clock = {"engine to client": found.taken, "bare socket": found.raw.clock}
    lines = [
        f"{name:<18}{1e3 * median(values):>7.1f} ms, at best {1e3 * min(values):.1f} ms, of {len(values)} times"
        for name, values in clock.items()
    ]
    lines += [f"{'ratio':<18}{found.ratio:>7.1f}    {LAYERS} layers of {size} px, {found.bytes / 2**20:.1f} MiB"]
    processor = {
        "worker": found.worker,
        "server": found.server,
        "client": found.client,
        "bare socket": found.raw.processor,
    }
    lines += [f"{name:<18}{1e3 * median(values):>7.1f} ms of processor time" for name, values in processor.items()]
    lines += [f"{'ratio':<18}{found.ratio_of_processor:>7.1f}    of processor time"]
    ratios = {"clock": found.ratio, "processor": found.ratio_of_processor}
    return Timed(figures("delivery", processor, clock, ratios, layers=LAYERS, bytes=found.bytes), lines)


def _start(arguments: Namespace) -> Timed:
    """Whole commands."""
    from layerfusion.server.cli.starting import TIMES, measure

    found = asdict(measure(arguments.times or TIMES))
    titles = {"help": "--help", "first_step": "generate, one step", "picture": "generate"}
    lines = [
        f"layerfusion {titles[name]:<20}{min(values):>7.2f} s of processor time, the least of {len(values)}"
        for name, values in found.items()
    ]
    return Timed(figures("start", found), lines)


def _busy(arguments: Namespace) -> Timed:
    """Warm jobs beside other programs."""
    from layerfusion.server.cli.warm import LOOPS, beside_busy_programs, embedded_job

    found = beside_busy_programs(embedded_job(), arguments.times or TIMES)
    rows = {"alone": found.alone, f"beside {LOOPS} loops": found.beside}
    lines = [
        f"{name:<16}{median(times.processor):>7.2f} s of processor time, median of {len(times.processor)} jobs"
        for name, times in rows.items()
    ]
    lines += [f"{'ratio':<16}{found.ratio:>7.2f}"]
    return Timed(figures("busy", *_both(rows), {"beside to alone": found.ratio}, loops=LOOPS), lines)


def _threads(arguments: Namespace) -> Timed:
    """A second thread, and a second process."""
    from layerfusion.server.cli.two_threads import in_threads
    from layerfusion.server.cli.warm import embedded_job

    found = in_threads(embedded_job(), arguments.times or TIMES)
    rows = {"one thread": found.one, "two threads": found.two, "two processes": found.workers}
    lines = [
        f"{name:<15}{median(times.processor):>7.3f} s of processor time a job, "
        f"{median(times.clock):.2f} by the clock, of {len(times.clock)} times"
        for name, times in rows.items()
    ]
    lines += [
        f"{'two threads':<15}{median(found.longest):>7.3f} s if only the longest of threads at the same time counts",
        f"{'two threads':<15}{found.ratio:>7.2f} times as fast as one, by processor time",
        f"{'two processes':<15}{found.ratio_of_workers:>7.2f} times as many pictures as one, by processor time",
    ]
    processor, clock = _both(rows)
    processor["two threads, the longest"] = found.longest
    ratios = {"two threads": found.ratio, "two processes": found.ratio_of_workers}
    return Timed(figures("threads", processor, clock, ratios), lines)


TIMED: Mapping[str, Callable[[Namespace], Timed]] = {
    "drawing": _drawing,
    "finishing": _finishing,
    "delivery": _delivery,
    "start": _start,
    "busy": _busy,
    "threads": _threads,
}
"""Option -> times it."""


def _once(found: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    return {name: (value,) for name, value in found.items()}


def _both(rows: Mapping[str, Any]) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]]:
    """Processor and clock of `JobTimes`."""
    return {name: times.processor for name, times in rows.items()}, {name: times.clock for name, times in rows.items()}
