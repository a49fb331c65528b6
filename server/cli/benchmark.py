"""`layerfusion benchmark`: what a job costs on SDXL, counted without weights and without a graphics card."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from layerfusion.engine.image.geometry import Size, check_canvas, working_size
from layerfusion.engine.importing import paused_collection
from layerfusion.engine.models.catalog.manifest import SDXL, spec_from_values
from layerfusion.engine.request import MAX_FOREGROUNDS, MAX_STEPS
from layerfusion.server.cli.console import say
from layerfusion.server.cli.environment import prepare_libraries
from layerfusion.server.cli.values import size, whole


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `benchmark`."""
    parser.description = (
        "Count the operations of every preset beside the stock SDXL pipeline, and the memory that every "
        "policy needs. This takes some ten seconds and needs neither weights nor a graphics card."
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("--size", metavar="WxH", type=size, default=Size(1024, 1024), help="canvas in pixels (default: 1024x1024)")
    steps = f"denoising steps, 1 to {MAX_STEPS} (default: SDXL's, 30)"
    add("--steps", metavar="N", type=whole(1, MAX_STEPS), help=steps)
    several = f"foregrounds, 1 to {MAX_FOREGROUNDS} (default: 1)"
    add("--foregrounds", metavar="K", type=whole(1, MAX_FOREGROUNDS), default=1, help=several)
    finishing = "instead, time how scripted pictures, drawn at half of --size, are finished and written"
    add("--finishing", action="store_true", help=finishing)


def run(arguments: argparse.Namespace) -> None:
    """Print operations of every preset beside the stock pipeline, and the memory every policy needs.

    Raises:
        InvalidRequest: a canvas outside the limits.
    """
    check_canvas(arguments.size)
    prepare_libraries()
    if arguments.finishing:
        _finish(arguments.size)
        return
    with paused_collection():
        from layerfusion.engine.models.catalog.model_files import read_json
        from layerfusion.engine.profiling.cost_model import CostModel

    manifest = {**read_json(SDXL), "few_steps": None, "name": "sdxl", "checkpoint": "counted/without/weights"}
    spec = spec_from_values(manifest, SDXL.parent)
    working = working_size(arguments.size, stride=spec.stride, native_area=spec.native_area).working
    price = CostModel(spec, working, arguments.foregrounds)
    defaults = spec.defaults
    steps = arguments.steps or defaults.steps
    say(_what(working, steps, arguments.foregrounds))
    say(f"{'':<28}{'TFLOP':>8}{'UNet rows':>11}{'to stock':>10}{'to three':>10}{'equal guidance':>16}")
    stock, *others = price.jobs(steps, defaults.guidance_scale, defaults.fusion)
    for job in (stock, *others):
        ratios = (job.flops / stock.flops, job.flops / (3 * stock.flops), job.flops / job.stock_flops)
        one, three, same = (f"{ratio:.2f}" for ratio in ratios)
        say(f"{job.name:<28}{job.flops / 1e12:>8.0f}{job.sample_forwards:>11}{one:>10}{three:>10}{same:>16}")
    say("to stock: divided by one stock picture; equal guidance: by one with guidance in the same number of steps")
    for policy in price.policies():
        card_size = "no usual card" if policy.card is None else f"{policy.card} GB card"
        say(f"memory {policy.policy.value:<12}{policy.peak / 2**30:>6.1f} GiB at its peak, half precision: {card_size}")


def _finish(canvas: Size) -> None:
    """Print the processor time of a job's end, in parts."""
    with paused_collection():
        from layerfusion.engine.profiling.finishing import measure

    working = Size(max(1, canvas.width // 2), max(1, canvas.height // 2))
    with tempfile.TemporaryDirectory() as folder:
        cost = measure(canvas, working, Path(folder) / "scripted.psd")
    parts = {"enlarging": cost.enlarging, "Shadow, Light": cost.shadow_and_light, "writing PSD": cost.writing}
    for name, seconds in {**parts, "all": cost.total}.items():
        say(f"{name:<14}{seconds:>7.2f} s of processor time, {canvas} px drawn at {working} px")


def _what(working: Size, steps: int, foregrounds: int) -> str:
    layers = "1 foreground" if foregrounds == 1 else f"{foregrounds} foregrounds"
    return f"SDXL at {working} px, {steps} steps, {layers}; operations and memory are counted, nothing is drawn"
