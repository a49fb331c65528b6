"""What `layerfusion harmonise` and `layerfusion again` have in common: options, the model, and the drawing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from layerfusion.engine.image.layers import LayeredImage
from layerfusion.engine.image.record import PictureRecord
from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.redrawing import Changes
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import MAX_SEED
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli import report, values
from layerfusion.server.cli.console import say
from layerfusion.server.cli.environment import add_memory
from layerfusion.server.cli.generate import draw_here
from layerfusion.server.cli.progress import ProgressDisplay
from layerfusion.server.cli.targets import OUT, add_content, add_overwrite, beside, check_out, write


def declare_common(parser: argparse.ArgumentParser, word: str) -> None:
    """Declare the options of both commands but the seed.

    Args:
        word: goes into the name of the result if none is given.
    """
    add = parser.add_argument
    add("file", metavar="FILE", help="FILE.psd, FILE.ora or a folder of layers")
    add("--out", metavar="OUT", help=f"{OUT} (default: beside FILE, its name with -{word})")
    prompts = "what a foreground shows, instead of what the file says; give one for each, the lowest first"
    add("--foreground", dest="foregrounds", metavar="P", action="append", default=[], help=prompts)
    add("--background", metavar="P", help="what the background shows, instead of what the file says")
    add("--model", metavar="NAME", help="see `layerfusion models` (default: the file's)")
    add_overwrite(parser)
    add_content(parser)
    report.add_options(parser)
    add_memory(parser)
    parser.set_defaults(variants=None, masks=False, inspect=None)


def read_seed(text: str) -> int:
    """An argparse type for a seed."""
    return values.whole(0, MAX_SEED)(text)


def changes_of(arguments: argparse.Namespace, seed: int | None) -> Changes:
    return Changes(foregrounds=tuple(arguments.foregrounds), background=arguments.background, seed=seed)


def choose_out(arguments: argparse.Namespace, word: str) -> str:
    """Where the result goes, found to be writable and free.

    Raises:
        UnknownFormat, UnwritableFile: see `check_out`.
    """
    out = beside(arguments.file, word) if arguments.out is None else arguments.out
    check_out(out, overwrite=arguments.overwrite)
    return out


def choose_model(arguments: argparse.Namespace, record: PictureRecord | None) -> ModelSpec:
    """The model that is asked for, else the file's, else this machine's first, which is then said.

    Raises:
        UnknownModel: this machine does not have it.
    """
    if arguments.model is not None:
        return find_model(arguments.model)
    if record is not None and record.model:
        return find_model(record.model)
    spec = available_models()[0]
    say(f"“{Path(arguments.file).name}” does not say how it was drawn; the model is {spec.name}", sys.stderr)
    return spec


def draw(
    arguments: argparse.Namespace,
    spec: ModelSpec,
    request: GenerationRequest,
    out: str,
    finish: Callable[[LayerStack], LayeredImage] = lambda drawn: drawn,
) -> None:
    """Draw one picture, save it and say what was written.

    Args:
        finish: makes what is saved of what was drawn.
    """
    display = ProgressDisplay(quiet=arguments.quiet)
    said = report.Report(arguments)
    with closing(draw_here(arguments, spec, request, [request.seed], display)) as pictures:
        stack = finish(next(pictures).stack)
    said.add(out, request, write(stack, out, arguments), [])
    said.finish(request, display.notices)
