"""`layerfusion export`: one layered file into another."""

from __future__ import annotations

import argparse

from layerfusion.engine import formats
from layerfusion.server.cli.console import list_layers
from layerfusion.server.cli.targets import OUT, add_content, add_overwrite, check_out, write


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `export`."""
    parser.description = (
        "Convert a layered file: read PSD, OpenRaster or a folder of PNGs, and write another, or a flat PNG."
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="IN", help="FILE.psd, FILE.ora or a folder of layers")
    parser.add_argument("out", metavar="OUT", help=OUT)
    add_overwrite(parser)
    add_content(parser, full_canvas=True)


def run(arguments: argparse.Namespace) -> None:
    """Convert `arguments.source` to `arguments.out`.

    Raises:
        FileError: see `formats.load` and `formats.save`.
    """
    check_out(arguments.out, overwrite=arguments.overwrite)
    list_layers(write(formats.load(arguments.source), arguments.out, arguments), arguments.out)
