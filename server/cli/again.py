"""`layerfusion again`: a picture drawn again from what its file records."""

from __future__ import annotations

import argparse
from pathlib import Path

from layerfusion.engine import formats
from layerfusion.engine.formats import merged
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.record import PictureRecord
from layerfusion.engine.redrawing import Part, again_request, parts_of
from layerfusion.server.cli import redrawing
from layerfusion.server.cli.generate import choose_seeds, read_seed

_WHAT = """\
Draws a picture again from any file that LayerFusion has written: a layered one,
a folder, or a flat PNG. Without a change it is the same picture, byte for byte
on the same machine; with another seed or prompt it is a new one. Layers that
were kept are taken from the file.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `again`."""
    parser.description = _WHAT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(run=run)
    redrawing.declare_common(parser, "again")
    seed = "another one, or random (default: the file's)"
    parser.add_argument("--seed", metavar="N|random", type=_seed, help=seed)


def run(arguments: argparse.Namespace) -> None:
    """Draw `arguments.file` again.

    Raises:
        EngineError: see `formats.load`, `again_request`, `formats.save` and `LayerFusionPipeline.generate`.
    """
    out = redrawing.choose_out(arguments, "again")
    size, record, parts = _recorded(arguments.file)
    spec = redrawing.choose_model(arguments, record)
    request = again_request(size, record, parts, spec, redrawing.changes_of(arguments, arguments.seed))
    redrawing.draw(arguments, spec, request, out)


def _seed(text: str) -> int:
    """An argparse type: a seed, one chosen at random if the text says so."""
    return choose_seeds(read_seed(text), 1)[0]


def _recorded(file: str) -> tuple[Size, PictureRecord | None, tuple[Part, ...]]:
    """The canvas, how the picture was drawn, and its backgrounds and foregrounds."""
    if Path(file).suffix.lower() == ".png":
        size, record, layers = merged.load_records(Path(file))
        roles = ("background", "foreground")
        return size, record, tuple(Part(role, each, None) for role, each in layers if role.value in roles)
    stack = formats.load(file)
    return stack.size, stack.record, parts_of(stack)
