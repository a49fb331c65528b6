"""`layerfusion generate`: prompts in, a layered file out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from layerfusion.engine import formats
from layerfusion.engine.events import Event, Finished, Notice, Progress
from layerfusion.engine.formats.files import check_writable
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.options.harmony import HarmonySettings
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Kept
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli import inspection
from layerfusion.server.cli.console import UsageError, list_layers, say
from layerfusion.server.cli.environment import keep_offline
from layerfusion.server.cli.sources import layer_sources

DEFAULT_SIZE = Size(512, 512)


def run(arguments: argparse.Namespace) -> None:
    """Draw and save. Everything that can be wrong with the command line is found before a model is loaded.

    Raises:
        EngineError: see `GenerationRequest`, `find_model`, `formats.save` and `LayerFusionPipeline.generate`.
        UsageError: masks of a foreground that has none.
    """
    request = to_request(arguments)
    if arguments.server is not None:
        from layerfusion.server.cli import remote

        remote.run(arguments, request, watch)
        return
    if arguments.masks and all(isinstance(source, Kept) for source in request.foregrounds):
        raise UsageError("--masks shows how drawn foregrounds are found; the mask of a kept one is its own alpha.")
    spec = find_model(request.model)
    formats.check_writable(arguments.out)
    sheet = _sheet_path(arguments.out) if arguments.masks else None
    if sheet is not None and sheet.parent.is_dir():
        check_writable(sheet)
    folder = None if arguments.inspect is None else Path(arguments.inspect)
    if folder is not None:
        inspection.check_folder(folder, arguments.out)

    keep_offline()
    from layerfusion.engine.inspection.records import MaskRecord, StreamRecord
    from layerfusion.engine.models.runtime.offloading import memory_policy
    from layerfusion.engine.pipeline import LayerFusionPipeline

    masks = MaskRecord() if sheet is not None or folder is not None else None
    streams = StreamRecord() if folder is not None else None
    pipeline = LayerFusionPipeline(spec, memory=memory_policy(arguments.memory))
    with closing(pipeline.generate(request, masks, streams)) as events:
        stack = watch(events)
    formats.save(stack, arguments.out)
    list_layers(stack, arguments.out)
    if masks is not None and not masks.steps:
        say("no masks to show: they are made where a drawn foreground is coupled to the picture", sys.stderr)
    if masks is not None and masks.steps and sheet is not None:
        inspection.write_sheet(sheet, masks)
        say(str(sheet))
    if masks is not None and streams is not None and folder is not None:
        for file in inspection.write_folder(folder, masks, streams):
            say(str(file))


def to_request(arguments: argparse.Namespace) -> GenerationRequest:
    """The request a command line asks for.

    Raises:
        InvalidRequest: a value outside its range.
        UnreadableFile: a kept picture cannot be read.
        UsageError: see `layer_sources`.
    """
    foregrounds, background, size = layer_sources(arguments)
    model = arguments.model or _default_model(arguments)
    switches = dict(arguments.switches)
    fusion = None
    if arguments.preset is not None or switches:
        fusion = find_model(model).defaults.fusion.adjusted(arguments.preset, switches)
    return GenerationRequest(
        size=size or DEFAULT_SIZE,
        background=background,
        foregrounds=foregrounds,
        blended_prompt=arguments.blended,
        blended_strength=arguments.harmonise,
        seed=arguments.seed,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
        fusion=fusion,
        harmony=HarmonySettings(mode=arguments.harmony),
        refine=arguments.refine,
        model=model,
    )


def _default_model(arguments: argparse.Namespace) -> str:
    """The first of this machine's; of a server elsewhere only the embedded one is certain."""
    return "tiny" if arguments.server is not None else available_models()[0].name


def _sheet_path(out: str) -> Path:
    """Beside a file, inside a folder."""
    path = Path(out)
    return path / "masks.png" if formats.is_folder(out) else path.with_suffix(".masks.png")


def watch(events: Iterable[Event]) -> LayerStack:
    """Show progress until the stack is finished: a bar on a terminal, otherwise one line a stage. Notices stay."""
    from tqdm import tqdm

    on_terminal = sys.stderr.isatty()
    stage = ""
    layout = "{desc} |{bar}| {n}/{total} {postfix}"
    with tqdm(disable=not on_terminal, file=sys.stderr, leave=False, bar_format=layout) as bar:
        for event in events:
            match event:
                case Notice():
                    bar.clear()
                    say(event.text, sys.stderr)
                    bar.refresh()
                case Progress():
                    if event.stage != stage:
                        stage = event.stage
                        bar.reset(event.total)
                        bar.set_description_str(event.text)
                        if not on_terminal:
                            say(f"{event.text} …", sys.stderr)
                    bar.set_postfix_str("" if event.eta is None else f"{event.eta:.0f} s left")
                    bar.update(event.step - bar.n)
                case Finished():
                    return event.stack
    raise AssertionError("the pipeline ended without a stack")
