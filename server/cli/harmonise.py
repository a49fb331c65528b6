"""`layerfusion harmonise`: a file that an artist has changed, with new Shadow, Light and Blended."""

from __future__ import annotations

import argparse

from layerfusion.engine import formats
from layerfusion.engine.redrawing import harmonise_request, put_back
from layerfusion.server.cli import redrawing

_WHAT = """\
Draws Shadow, Light and Blended anew for a layered file in which layers were
moved, scaled, painted or hidden, in any program. Background and Foregrounds
come back byte for byte; hidden Foregrounds take no part. Prompts, model and
settings are those of the file.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `harmonise`."""
    parser.description = _WHAT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    redrawing.declare_common(parser, "harmonised")
    parser.add_argument("--seed", metavar="N", type=redrawing.read_seed, help="default: the file's")


def run(arguments: argparse.Namespace) -> None:
    """Harmonise `arguments.file`.

    Raises:
        EngineError: see `formats.load`, `harmonise_request`, `formats.save` and `LayerFusionPipeline.generate`.
    """
    out = redrawing.choose_out(arguments, "harmonised")
    stack = formats.load(arguments.file)
    spec = redrawing.choose_model(arguments, stack.record)
    request = harmonise_request(stack, spec, redrawing.changes_of(arguments, arguments.seed))
    redrawing.draw(arguments, spec, request, out, lambda drawn: put_back(stack, drawn))
