"""`layerfusion export`: one layered file into another."""

from __future__ import annotations

import argparse

from layerfusion.engine import formats
from layerfusion.server.cli.console import list_layers


def run(arguments: argparse.Namespace) -> None:
    """Convert `arguments.source` to `arguments.out`.

    Raises:
        FileError: see `formats.load` and `formats.save`.
    """
    formats.check_writable(arguments.out)
    stack = formats.load(arguments.source)
    formats.save(stack, arguments.out)
    list_layers(stack, arguments.out)
