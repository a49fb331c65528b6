"""`layerfusion train`: make the embedded model anew, or go on with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.registry import EMBEDDED
from layerfusion.server.cli.console import CommandError
from layerfusion.server.cli.environment import keep_offline


def run(arguments: argparse.Namespace) -> None:
    """Run one stage.

    Raises:
        InvalidRequest: an unknown stage, a time that is none, or something an earlier stage must make first.
        CommandError: the packages that training needs are not installed.
    """
    if arguments.minutes is not None and not 0 < arguments.minutes <= 100_000:
        raise InvalidRequest(f"A stage cannot train for {arguments.minutes} minutes.", "Give a number above 0.")
    keep_offline()
    try:
        from layerfusion.engine.training.run import Workshop
    except ImportError as error:
        raise CommandError(f"Training needs more packages ({error}). Run: pip install 'layerfusion[train]'") from error

    sprites = None if arguments.sprites is None else Path(arguments.sprites)
    card = EMBEDDED if arguments.start is None else Path(arguments.start)
    workshop = Workshop(Path(arguments.folder), card, arguments.device)
    if arguments.stage == "measure":
        if sprites is None:
            raise InvalidRequest("Measuring needs the sprites.", "Say where they are with --sprites FOLDER.")
        workshop.measure(sprites, arguments.pairs)
    else:
        workshop.run(arguments.stage, minutes=arguments.minutes, sprites=sprites)
