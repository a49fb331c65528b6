"""`layerfusion train`: make the embedded model anew, or go on with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.manifest import read_manifest
from layerfusion.engine.models.catalog.registry import EMBEDDED
from layerfusion.server.cli.console import CommandError
from layerfusion.server.cli.environment import prepare_libraries
from layerfusion.server.cli.values import number, whole


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `train`."""
    parser.description = (
        "Run one stage of the embedded model's training, or go on with it. The stages, in order: dataset, "
        "vae, thin (for an edition with a thinner VAE), latents, unet, transparency, deltas, distill, decoder, alpha, "
        "checkpoint, export; beside them classifier and measure."
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("stage", metavar="STAGE", help="the stage to run")
    add("--folder", metavar="DIR", default="training", help="where everything goes (default: training)")
    add("--sprites", metavar="DIR", help="the unpacked sprite packages; dataset and measure need them")
    add(
        "--minutes",
        metavar="M",
        type=number(0, 100_000, above=True),
        help="minutes of training in all, earlier runs included (default: the stage's own)",
    )
    add(
        "--rate",
        metavar="R",
        type=number(0, 10, above=True),
        default=1.0,
        help="factor on the stage's learning rates; less than 1 suits what is nearly trained (default: 1)",
    )
    add(
        "--from",
        dest="start",
        metavar="CARD",
        help="model.json, or a new edition's edition.json, to start from; or the model.json to measure (default: the "
        "embedded one)",
    )
    add("--device", metavar="D", default="cpu", help="cpu, cuda or mps (default: cpu)")
    pairs = "pairs that measure draws (default: 120)"
    add("--pairs", metavar="N", type=whole(1, 10_000), default=120, help=pairs)


def run(arguments: argparse.Namespace) -> None:
    """Run one stage.

    Raises:
        InvalidRequest: an unknown stage, or something an earlier stage must make first.
        CommandError: the packages that training needs are not installed.
    """
    prepare_libraries()
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
        figures, sheet = measure(
            read_manifest(card), judge, examples, SpriteLibrary(sprites, training.vocabulary), count=arguments.pairs
        )
        text = json.dumps(figures, indent=2)
        (training.folder / "measured.json").write_text(f"{text}\n", encoding="utf-8")
        sheet.save(training.folder / "measured.png")
        print(text)
    else:
        training.run(arguments.stage, minutes=arguments.minutes, rate=arguments.rate, sprites=sprites)
