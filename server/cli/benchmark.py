"""`layerfusion benchmark`: what jobs cost on SDXL, counted without weights and without a graphics card."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerfusion.engine.formats.files import check_writable, replacing
from layerfusion.engine.image.geometry import Size, check_canvas
from layerfusion.engine.importing import paused_collection
from layerfusion.engine.request import MAX_FOREGROUNDS, MAX_STEPS
from layerfusion.server.cli.console import UsageError, say
from layerfusion.server.cli.environment import prepare_libraries
from layerfusion.server.cli.targets import add_overwrite, check_free
from layerfusion.server.cli.timed import TIMED
from layerfusion.server.cli.timings import TIMES
from layerfusion.server.cli.values import size, whole

if TYPE_CHECKING:
    from layerfusion.engine.profiling.cost_model import JobCost, MemoryCost

_MOST_TIMES = 1000


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `benchmark`."""
    parser.description = (
        "Count the operations of every preset beside the stock SDXL pipeline, of a new background under a kept "
        "foreground and of harmonising again, and the memory that every policy needs. This takes about half a minute "
        "and needs neither weights nor a graphics card."
    )
    parser.usage = (  # argparse does not break the line within alternatives
        "%(prog)s [-h] [--size WxH] [--steps N] [--foregrounds K]\n"
        "         [--drawing | --finishing | --delivery | --start | --busy | --threads]\n"
        "         [--times N] [--json] [--plot FILE.png] [--overwrite]"
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("--size", metavar="WxH", type=size, default=Size(1024, 1024), help="canvas in pixels (default: 1024x1024)")
    steps = f"denoising steps, 1 to {MAX_STEPS} (default: SDXL's, 30)"
    add("--steps", metavar="N", type=whole(1, MAX_STEPS), help=steps)
    several = f"foregrounds, 1 to {MAX_FOREGROUNDS} (default: 1)"
    add("--foregrounds", metavar="K", type=whole(1, MAX_FOREGROUNDS), default=1, help=several)
    instead = parser.add_mutually_exclusive_group().add_argument
    drawing = "instead, time a warm job of the embedded model with every preset beside a stock picture, in parts"
    instead("--drawing", action="store_true", help=drawing)
    finishing = "instead, time how scripted pictures, drawn at half of --size, are finished and written"
    instead("--finishing", action="store_true", help=finishing)
    delivery = "instead, time how three layers of --size get from a worker through a server to a client"
    instead("--delivery", action="store_true", help=delivery)
    start = "instead, time what starting the commands costs: --help, and a first picture of the embedded model"
    instead("--start", action="store_true", help=start)
    busy = "instead, time a warm job of the embedded model alone and beside three programs that compute without end"
    instead("--busy", action="store_true", help=busy)
    threads = "instead, time a warm job of the embedded model in one thread and in two, and in two processes"
    instead("--threads", action="store_true", help=threads)
    times = f"how often each thing is timed, 1 to {_MOST_TIMES} (default: {TIMES}, deliveries 20, starting 3)"
    add("--times", metavar="N", type=whole(1, _MOST_TIMES), help=times)
    add("--json", action="store_true", help="print one JSON object instead of a table")
    add("--plot", metavar="FILE.png", help="also draw the operations as a chart")
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print operations of every job beside the stock pipeline, and the memory every policy needs.

    Raises:
        InvalidRequest: a canvas outside the limits.
        UsageError, CommandError: see `delivery.measure` and `starting.measure`; --plot beside what is timed, or --times
            beside what is not.
        UnwritableFile: the chart cannot be written, or it is there and is not to be replaced.
    """
    check_canvas(arguments.size)
    plot = None if arguments.plot is None else Path(arguments.plot)
    if plot is not None:
        check_writable(plot)
        check_free(plot, overwrite=arguments.overwrite)
    timed = next((name for name in TIMED if getattr(arguments, name)), None)
    if plot is not None and timed is not None:
        raise UsageError(f"--plot draws the operations; leave it out with --{timed}.")
    if arguments.times is not None and timed in (None, "finishing"):
        raise UsageError("--times goes with --drawing, --delivery, --start, --busy or --threads; leave it out.")
    prepare_libraries()
    if timed is not None:
        found = TIMED[timed](arguments)
        for line in [json.dumps(found.figures)] if arguments.json else found.lines:
            say(line)
        return
    with paused_collection():
        from layerfusion.engine.profiling.cost_model import CostModel, sdxl_spec

    spec = sdxl_spec()
    working = spec.framing(arguments.size).working
    price = CostModel(spec, working, arguments.foregrounds)
    defaults = spec.defaults
    steps = arguments.steps or defaults.steps
    jobs = price.jobs(steps, defaults.guidance_scale, defaults.fusion)
    policies = price.policies()
    if arguments.json:
        say(json.dumps(_figures(working, steps, arguments.foregrounds, jobs, policies)))
    else:
        say(_what(working, steps, arguments.foregrounds))
        _print(jobs, policies)
    if plot is not None:
        _draw(plot, jobs)


def _print(jobs: list[JobCost], policies: list[MemoryCost]) -> None:
    stock = jobs[0]
    say(f"{'':<32}{'TFLOP':>7}{'UNet rows':>11}{'deep rows':>11}{'to stock':>10}{'to three':>10}")
    for job in jobs:
        one, three = (f"{ratio:.2f}" for ratio in (job.flops / stock.flops, job.flops / (3 * stock.flops)))
        tera = job.flops / 1e12
        say(f"{job.name:<32}{tera:>7.0f}{job.sample_forwards:>11}{job.deep:>11}{one:>10}{three:>10}")
    say("to stock: divided by one stock picture; deep rows: those that go through the coarse blocks, too")
    for policy in policies:
        card_size = "no usual card" if policy.card is None else f"{policy.card} GB card"
        say(f"memory {policy.policy.value:<12}{policy.peak / 2**30:>6.1f} GiB at its peak, half precision: {card_size}")


def _figures(
    working: Size, steps: int, foregrounds: int, jobs: list[JobCost], policies: list[MemoryCost]
) -> dict[str, Any]:
    """The figures as plain values."""
    return {
        "size": [working.width, working.height],
        "steps": steps,
        "foregrounds": foregrounds,
        "jobs": [
            {
                "name": job.name,
                "flops": job.flops,
                "unet_rows": job.sample_forwards,
                "deep_rows": job.deep,
                "to_stock": round(job.flops / jobs[0].flops, 4),
            }
            for job in jobs
        ],
        "memory": [
            {"policy": one.policy.value, "peak_bytes": one.peak, "smallest_card_gb": one.card} for one in policies
        ],
    }


def _draw(file: Path, jobs: list[JobCost]) -> None:
    """Write a bar chart of the operations of all jobs, divided by those of one stock picture."""
    from PIL import Image, ImageDraw, ImageFont

    row, left, wide = 26, 260, 460
    sheet = Image.new("RGB", (left + wide + 70, row * (len(jobs) + 1)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    most = max(job.flops for job in jobs)
    one = left + wide * jobs[0].flops / most
    for index, job in enumerate(jobs):
        top, end = row * index + 8, left + wide * job.flops / most
        draw.text((8, top), job.name, fill="black", font=font)
        ink = (150, 150, 150) if job.name.startswith("stock") else (31, 87, 158)
        draw.rectangle((left, top, end, top + 15), fill=ink)
        draw.text((end + 6, top), f"{job.flops / jobs[0].flops:.2f}", fill="black", font=font)
    draw.line((one, 0, one, row * len(jobs)), fill=(200, 82, 32))
    draw.text((8, row * len(jobs) + 4), "operations, divided by those of one stock picture", fill="black", font=font)
    with replacing(file) as opened:
        sheet.save(opened, "PNG")


def _what(working: Size, steps: int, foregrounds: int) -> str:
    layers = "1 foreground" if foregrounds == 1 else f"{foregrounds} foregrounds"
    return f"SDXL at {working} px, {steps} steps, {layers}; operations and memory are counted, nothing is drawn"
