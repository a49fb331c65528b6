"""`layerfusion train`: make the embedded model anew, or go on with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.manifest import read_manifest
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
        from layerfusion.engine.evaluation.model_card import measure
        from layerfusion.engine.training.data.sprites import SpriteLibrary
        from layerfusion.engine.training.run import TrainingRun
    except ImportError as error:
        raise CommandError(f"Training needs more packages ({error}). Run: pip install 'layerfusion[train]'") from error

    sprites = None if arguments.sprites is None else Path(arguments.sprites)
    card = EMBEDDED if arguments.start is None else Path(arguments.start)
    training = TrainingRun(Path(arguments.folder), card, arguments.device)
    if arguments.stage == "measure":
        if sprites is None:
            raise InvalidRequest("Measuring needs the sprites.", "Say where they are with --sprites FOLDER.")
        judge, examples = training.trained_classifier(), training.examples("held_out")
        figures, sheet = measure(read_manifest(card), judge, examples, SpriteLibrary(sprites), count=arguments.pairs)
        text = json.dumps(figures, indent=2)
        (training.folder / "measured.json").write_text(f"{text}\n", encoding="utf-8")
        sheet.save(training.folder / "measured.png")
        print(text)
    else:
        training.run(arguments.stage, minutes=arguments.minutes, sprites=sprites)
