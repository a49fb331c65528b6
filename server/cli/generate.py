"""`layerfusion generate`: prompts in, layered files out."""

from __future__ import annotations

import argparse
import gc
import secrets
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.importing import paused_collection, without
from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.models.catalog.samplers import SAMPLERS, sampler_key
from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.options.harmony import HarmonyMode
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.provenance import with_records
from layerfusion.engine.request import HARMONISE_STRENGTH, MAX_FOREGROUNDS, MAX_STEPS, GenerationRequest
from layerfusion.engine.sources import MAX_SEED, Kept
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli import inspection, remote, report, sources, values
from layerfusion.server.cli.console import UsageError, say
from layerfusion.server.cli.environment import add_memory, prepare_libraries
from layerfusion.server.cli.progress import ProgressDisplay
from layerfusion.server.cli.targets import OUT, Target, add_content, add_overwrite, generate_targets, write

if TYPE_CHECKING:
    from layerfusion.engine.inspection.records import MaskRecord, StreamRecord

DEFAULT_SIZE = Size(512, 512)
MAX_VARIANTS = 16
"""As many as one message of the protocol can ask for."""

_RANDOM_SEEDS = 2**32
"""Random seeds are below this: short enough to be copied by hand, and the range other programs use (our choice)."""

_BARE_WORDS = frozenset(
    ["a", "an", "the", "of", "in", "on", "at", "by", "with", "and", "or", "before", "behind", "under", "over"]
)
"""Words that are no prompt by themselves: whoever gives one has forgotten the quotes."""

_EXAMPLES = """\
The embedded model draws these well; `layerfusion models show tiny` lists all
the words it knows:
  layerfusion generate "a red apple" --background "a beach at sunset" --out apple.psd
  layerfusion generate "a penguin" --background "snowy mountains at sunrise" --out penguin.ora
  layerfusion generate "a robot" --background "a room with a blue wall" --out robot/
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `generate`."""
    parser.description = "Draw a layered picture: one prompt for each foreground, one for the background."
    parser.usage = '%(prog)s "FG" ... --background "BG" --out OUT [OPTION ...]'
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.set_defaults(run=run)
    _add_picture(parser.add_argument_group("what to draw"))
    sources.add_options(parser.add_argument_group("layers you have, and places (N is a foreground's number, or bg)"))
    _add_method(parser.add_argument_group("how to draw"))
    output = parser.add_argument_group("what is written and said")
    output.add_argument("--out", metavar="OUT", required=True, help=OUT)
    add_overwrite(output)
    add_content(output)
    inspection.add_options(output)
    report.add_options(output)
    remote.add_options(parser.add_argument_group("a server"))


def _add_picture(group: Any) -> None:
    add = group.add_argument
    fg = f"what stands in front, each prompt in quotes, the lowest layer first; 1 to {MAX_FOREGROUNDS} of them"
    add("foregrounds", metavar="FG", nargs="+", help=fg)
    add("--background", metavar="BG", required=True, help="what lies behind, in quotes")
    add(
        "--blended",
        dest="blended_prompt",
        metavar="P",
        help="what the whole picture shows (default: made of the other prompts)",
    )
    add("--negative", metavar="P", default="", help="what to avoid, in every layer")
    canvas = "canvas in pixels (default: the kept background's, or what holds all kept cut-outs and boxes, or 512x512)"
    add("--size", metavar="WxH", type=values.size, help=canvas)
    seed = f"0 to {MAX_SEED}; the same number gives the same picture, and the number is printed (default: random)"
    add("--seed", metavar="N|random", type=read_seed, help=seed)
    variants = (
        f"draw N pictures, 1 to {MAX_VARIANTS}, with N seeds that follow each other, into files with a number: "
        "apple-1.psd, apple-2.psd, …; numbers that are taken are passed over"
    )
    add("--variants", metavar="N", type=values.whole(1, MAX_VARIANTS), help=variants)


def _add_method(group: Any) -> None:
    add = group.add_argument
    add("--model", metavar="NAME", help="see `layerfusion models` (default: the first it lists)")
    steps = f"denoising steps, 1 to {MAX_STEPS} (default: the model's)"
    add("--steps", metavar="N", type=values.whole(1, MAX_STEPS), help=steps)
    guidance = "how closely to follow the prompts, 1 to 30 (default: the model's)"
    add("--guidance", dest="guidance_scale", metavar="X", type=values.number(1, 30), help=guidance)
    sampler = (
        "a name that `layerfusion models show MODEL` lists, such as Euler or DPM++ 2M Karras (default: the model's)"
    )
    add("--sampler", metavar="NAME", type=_sampler, help=sampler)
    preset = "how close to the paper, and how fast (default: as the model was tuned)"
    add("--preset", choices=get_args(Preset), help=preset)
    add(
        "--set",
        dest="switches",
        metavar="NAME=VALUE",
        type=sources.read_switch,
        action="append",
        default=[],
        help="one option of the method, after the preset; `layerfusion options` lists them; may be repeated",
    )
    harmony = (
        "how Shadow and Light are made: clean is soft and moves with the picture, exact makes the layers add up to the "
        "blended picture (default: clean)"
    )
    add("--harmony", choices=get_args(HarmonyMode), default="clean", help=harmony)
    harmonise = (
        f"how much of the blended picture is drawn anew if every layer is kept, 0 to 1 (default: {HARMONISE_STRENGTH})"
    )
    add("--harmonise", dest="blended_strength", metavar="X", type=values.number(0, 1), help=harmonise)
    refine = (
        "on a canvas larger than the model draws: draw the layers over once more in tiles, for crisper edges; 0.1 to "
        "0.2 keeps what there is, 1 draws all anew (default: 0, off)"
    )
    add("--refine", metavar="X", type=values.number(0, 1), default=0.0, help=refine)
    literal = "take brackets, tags and BREAK in prompts as ordinary text; docs/models.md explains their meaning"
    add("--literal-prompts", action="store_true", help=literal)
    add_memory(group)


def run(arguments: argparse.Namespace) -> None:
    """Draw and save. Everything that can be wrong with the command line is found before a model is loaded.

    Raises:
        EngineError: see `GenerationRequest`, `find_model`, `formats.save` and `LayerFusionPipeline.generate`.
        UsageError: prompts without quotes, masks of a foreground that has none, or what `Remote` refuses.
        CommandError: see `Remote`.
    """
    check_quotes(arguments.foregrounds)
    seeds = choose_seeds(arguments.seed, arguments.variants or 1)
    layers = sources.layer_sources(arguments)
    request = to_request(arguments, layers, seeds[0])
    if arguments.server is not None:
        remote.check(arguments)
    elif arguments.masks and all(isinstance(source, Kept) for source in request.foregrounds):
        raise UsageError("--masks shows how drawn foregrounds are found; the mask of a kept one is its own alpha.")
    spec = find_model(request.model) if arguments.server is None else None
    targets = generate_targets(arguments)
    display = ProgressDisplay(quiet=arguments.quiet)
    said = report.Report(arguments)
    for notice in layers.notices:
        display.show(notice)
    if len(arguments.foregrounds) > 1 and not any(" " in prompt.strip() for prompt in arguments.foregrounds):
        words = " ".join(arguments.foregrounds)
        say(f'{len(arguments.foregrounds)} foregrounds, one a word; for one foreground, write "{words}"', sys.stderr)
    if spec is None:
        server = remote.Remote(arguments)
        request = replace(request, model=arguments.model or server.first_model())
        pictures = draw_there(server, request, seeds, display)
    else:
        pictures = draw_here(arguments, spec, request, seeds, display)
    with closing(pictures):
        for number, (target, seed) in enumerate(zip(targets, seeds, strict=True), start=1):
            if len(targets) > 1 and not arguments.quiet:
                say(f"picture {number} of {len(targets)}, seed {seed}", sys.stderr)
            picture = next(pictures)
            written = write(picture.stack, target.out, arguments)
            said.add(target.out, replace(request, seed=seed), written, _write_inside(target, picture))
    said.finish(request, display.notices)


@dataclass(frozen=True)
class Picture:
    """A drawn picture, and what was recorded of its inside."""

    stack: LayerStack
    masks: MaskRecord | None = None
    streams: StreamRecord | None = None


def draw_there(
    server: remote.Remote, request: GenerationRequest, seeds: Sequence[int], display: ProgressDisplay
) -> Generator[Picture, None, None]:
    """Have a server draw one picture a seed."""
    with closing(server.draw(request, seeds, display.watch)) as stacks:
        known = {spec.name: spec for spec in available_models()}
        for stack, seed in zip(stacks, seeds, strict=True):
            if stack.record is None:  # a server before protocol 1.4
                stack = with_records(stack, replace(request, seed=seed), known.get(request.model))
            yield Picture(stack)


def draw_here(
    arguments: argparse.Namespace,
    spec: ModelSpec,
    request: GenerationRequest,
    seeds: Sequence[int],
    display: ProgressDisplay,
) -> Generator[Picture, None, None]:
    """Draw one picture a seed in this process."""
    prepare_libraries()
    with paused_collection(), without("scipy"):
        from layerfusion.engine.inspection.recorder import Recorder
        from layerfusion.engine.inspection.records import MaskRecord, StreamRecord
        from layerfusion.engine.models.runtime.offloading import memory_policy
        from layerfusion.engine.pipeline import LayerFusionPipeline
    gc.freeze()  # modules live as long as the process

    pipeline = LayerFusionPipeline(spec, memory=memory_policy(arguments.memory))
    for seed in seeds:
        masks = MaskRecord() if arguments.masks or arguments.inspect is not None else None
        streams = StreamRecord() if arguments.inspect is not None else None
        with closing(pipeline.generate(replace(request, seed=seed), Recorder(masks, streams))) as events:
            stack = display.watch(events)
        yield Picture(stack, masks, streams)


def _write_inside(target: Target, picture: Picture) -> list[Path]:
    """Write the masks' sheet and the folder of the inside, as far as they are asked for, and return the files."""
    written: list[Path] = []
    if picture.masks is not None and not picture.masks.steps:
        say("no masks to show: they are made where a drawn foreground is coupled to the picture", sys.stderr)
    elif picture.masks is not None and target.sheet is not None:
        inspection.write_sheet(target.sheet, picture.masks)
        written.append(target.sheet)
    if picture.masks is not None and picture.streams is not None and target.inside is not None:
        written += inspection.write_folder(target.inside, picture.masks, picture.streams)
    return written


def to_request(arguments: argparse.Namespace, layers: sources.LayerSources, seed: int) -> GenerationRequest:
    """The request a command line asks for. Options are stored under the names of the request's fields.

    Raises:
        InvalidRequest: a value outside its range, or a sampler that does not suit the model.
    """
    model = arguments.model or _default_model(arguments)
    switches = dict(arguments.switches)
    fusion = None
    if arguments.preset is not None or switches:
        fusion = find_model(model).defaults.fusion.adjusted(arguments.preset, switches)
    if arguments.sampler is not None and arguments.server is None:
        find_model(model).check_sampler(arguments.sampler)
    given = vars(arguments)
    return GenerationRequest(
        **{
            **{field.name: given[field.name] for field in fields(GenerationRequest) if field.name in given},
            "size": layers.size or DEFAULT_SIZE,
            "background": layers.background,
            "foregrounds": layers.foregrounds,
            "seed": seed,
            "fusion": fusion,
            "model": model,
        }
    )


def _default_model(arguments: argparse.Namespace) -> str:
    """The first of this machine's; of a server elsewhere only the embedded one is certain."""
    return "tiny" if arguments.server is not None else available_models()[0].name


def check_quotes(foregrounds: Sequence[str]) -> None:
    """
    Raises:
        UsageError: the words look like one prompt without quotes.
    """
    bare = next((word for word in foregrounds if word.casefold() in _BARE_WORDS), None)
    if len(foregrounds) > 1 and (bare is not None or len(foregrounds) > MAX_FOREGROUNDS):
        what = f"{len(foregrounds)} foregrounds" + ("" if bare is None else f", and “{bare}” is one of them")
        raise UsageError(f'{what}. Put the prompt in quotes: "{" ".join(foregrounds)}"')


def choose_seeds(first: int | None, count: int) -> list[int]:
    """`count` seeds that follow each other; None begins at random.

    Raises:
        UsageError: there are not so many from there on.
    """
    start = secrets.randbelow(_RANDOM_SEEDS) if first is None else first
    if start + count - 1 > MAX_SEED:
        raise UsageError(f"{count} seeds from {start} on go beyond {MAX_SEED}, the largest; begin lower.")
    return list(range(start, start + count))


def read_seed(text: str) -> int | None:
    """An argparse type for a seed; None stands for a random one."""
    if text.strip().casefold() == "random":
        return None
    try:
        return values.whole(0, MAX_SEED)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, and is not “random”") from None


def _sampler(text: str) -> str:
    key = sampler_key(text)
    if key is None:
        raise argparse.ArgumentTypeError(f"there is no sampler “{text}”; there are {', '.join(SAMPLERS.values())}")
    return key
