"""`layerfusion options`: what `generate --set` can change, listed without loading a model."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Declare `options`."""
    parser = commands.add_parser("options", help="list the options of the method")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """List them."""
