"""`layerfusion models`: what there is to draw with, and how a model of one's own is added."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from layerfusion.engine.errors import EngineError, UnknownModel
from layerfusion.engine.models.catalog import library
from layerfusion.engine.models.catalog.compatibility import faults
from layerfusion.engine.models.catalog.identify import precision
from layerfusion.engine.models.catalog.network_files import network_folders
from layerfusion.engine.models.catalog.programs import places, usual_folders
from layerfusion.engine.models.catalog.readiness import missing, parts
from layerfusion.engine.models.catalog.registry import known_models, manifests_folder
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.catalog.samplers import SAMPLERS, sampler_key
from layerfusion.engine.models.catalog.scan import Found, inspect_path, scan
from layerfusion.engine.models.catalog.schedules import Prediction
from layerfusion.engine.models.catalog.sdxl_shapes import Network
from layerfusion.engine.models.catalog.spec import FewStepAdapter, FewSteps, ModelDefaults, ModelSpec, Precision
from layerfusion.engine.models.catalog.weight_source import parse_weight_source
from layerfusion.engine.request import MAX_STEPS
from layerfusion.server.cli.console import CommandError, UsageError, say
from layerfusion.server.cli.values import whole


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `models` and its actions. Without an action it lists."""
    parser.description = "List the models this machine has; add, fetch, find and check others."
    parser.set_defaults(run=list_models)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")

    def action(name: str, run: Any, what: str) -> Any:
        added = actions.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        added.set_defaults(run=run)
        return added

    action("list", list_models, "list every model, the default first")
    show = action("show", show_model, "show one model: its parts, where they are, what suits it")
    show.add_argument("name", metavar="NAME", help="as `layerfusion models list` has it")
    _declare_add(action("add", add_model, "add an SDXL model you have, as a file or a folder in diffusers layout"))
    pull = action("pull", pull_model, "fetch a model, or what one lacks, from Hugging Face")
    pull.add_argument("name", metavar="NAME", help=f"a listed model, {', '.join(library.RECIPES)}, or OWNER/NAME")
    pull.add_argument("--as", dest="called", metavar="NAME", help="what to call it (default: made of its name)")
    found = action("scan", scan_folders, "find models that ComfyUI, A1111, Forge or InvokeAI have downloaded")
    found.add_argument("folders", metavar="DIR", nargs="*", help="a program's folder (default: the usual ones)")
    _models_dir(found)
    found.add_argument("--add", action="store_true", help="add every SDXL model that is found")
    check = action("check", check_files, "say what a file is, whether it fits and what is missing")
    check.add_argument("files", metavar="FILE", nargs="+", help="a safetensors file, or a folder in diffusers layout")


def _declare_add(parser: Any) -> None:
    add = parser.add_argument
    add("name", metavar="NAME", help="what to call it: small letters, digits, dots and dashes")
    add("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, a folder, or hf:OWNER/NAME")
    add("--title", metavar="T", help="what people call it")
    add("--unet", metavar="FILE", help="another UNet than its own, as ComfyUI's diffusion_models have them")
    add("--vae", metavar="FILE", help="another VAE than its own")
    add("--lora", metavar="FILE[=WEIGHT]", action="append", default=[], help="a LoRA, weight 1 by default; repeatable")
    add("--few-steps", choices=get_args(FewSteps), help="the checkpoint or a LoRA is distilled: few steps, no guidance")
    add(
        "--fast-lora",
        metavar="FILE=KIND",
        help=f"a few-step LoRA with which the preset `fast` alone draws, and its kind: {', '.join(get_args(FewSteps))}",
    )
    steps = f"denoising steps by default, 1 to {MAX_STEPS}"
    add("--steps", metavar="N", type=whole(1, MAX_STEPS), help=steps)
    add("--sampler", metavar="S", help="by default; one of: " + ", ".join(SAMPLERS))
    add("--precision", choices=get_args(Precision), help="of the weights (default: what the device is good at)")
    add("--prediction", choices=get_args(Prediction), help="what it predicts, if its file does not say it")
    add(
        "--ztsnr", action="store_true", help="it begins at pure noise (zero terminal SNR), and its file does not say so"
    )
    add("--overwrite", action="store_true", help="replace the model of that name, if there is one")
    add("--deltas", metavar="FILE", help="LayerDiffuse's foreground deltas, in any published form")
    add("--encoder", metavar="FILE", help="LayerDiffuse's transparent encoder")
    add("--decoder", metavar="FILE", help="LayerDiffuse's transparent decoder")
    _models_dir(parser)


def _models_dir(parser: Any) -> None:
    parser.add_argument(
        "--models-dir",
        metavar="DIR",
        action="append",
        default=[],
        help="another program's folder to look in for LayerDiffuse's files; repeatable",
    )


def list_models(_arguments: argparse.Namespace) -> None:
    """List every model, those that can draw first, and say what the others lack.

    Raises:
        BrokenModel: the embedded model's own manifest cannot be read.
    """
    specs, broken = known_models()
    for spec in sorted(specs, key=lambda spec: bool(missing(spec))):
        lost = missing(spec)
        say(f"{spec.name}: {spec.title}" + (f" (not complete: {len(lost)} parts missing)" if lost else ""))
        say(f"  draws at about {spec.native_size}x{spec.native_size} px")
        say(f"  {_drawing(spec.usual)}")
        if lost:
            say(f"  fetch the rest: layerfusion models pull {spec.name}")
        for foreground, background in spec.examples[:1]:
            say(f'  try: layerfusion generate "{foreground}" --background "{background}" --out picture.psd')
    for error in broken:
        say(f"not read: {error}")


def show_model(arguments: argparse.Namespace) -> None:
    """Show one model.

    Raises:
        UnknownModel: there is none of that name.
    """
    specs, _ = known_models()
    spec = next((spec for spec in specs if spec.name == arguments.name), None)
    if spec is None:
        raise UnknownModel(
            f"There is no model “{arguments.name}”.", f"Known models: {', '.join(spec.name for spec in specs)}."
        )
    for line in describe(spec):
        say(line)


def describe(spec: ModelSpec) -> Iterator[str]:
    """A model in words, one line each."""
    yield f"{spec.name}: {spec.title}"
    yield from (f"  {line}" for line in spec.about)
    yield f"  draws at about {spec.native_size}x{spec.native_size} px, sides in multiples of {spec.stride}"
    yield f"  {_drawing(spec.usual)}"
    yield f"  samplers: {', '.join(f'{name} ({SAMPLERS[name]})' for name in spec.samplers)}"
    if spec.few_steps:
        yield f"  distilled ({spec.few_steps}): few steps, no guidance"
    if spec.few_step_adapter is not None and spec.defaults.fusion.few_steps:
        yield f"  presets paper, exact and balanced: {_drawing(spec.defaults)}"
    elif spec.few_step_adapter is not None:
        yield f"  preset fast: {_drawing(spec.few_step_adapter)}"
    for folder in network_folders(spec.network_folders):
        yield f"  LoRAs and textual inversions that prompts name: {folder}"
    for part in parts(spec):
        size = f", {part.size}" if part.size else ""
        yield f"  {part.role}: {part.path if part.path else f'MISSING, {part.source}{size}'}"
    if missing(spec):
        yield f"  fetch what is missing: layerfusion models pull {spec.name}"
    for kind, words in spec.vocabulary.items():
        yield f"  knows these {kind}: {', '.join(words)}"
    for foreground, background in spec.examples:
        yield f'  try: layerfusion generate "{foreground}" --background "{background}" --out picture.psd'


def _drawing(values: ModelDefaults | FewStepAdapter) -> str:
    return f"{values.steps} steps, guidance {values.guidance_scale:g}, sampler {SAMPLERS[values.sampler]}"


def add_model(arguments: argparse.Namespace) -> None:
    """Write a manifest for a model of the user's.

    Raises:
        EngineError: see `library.add_model`.
    """
    folders = [Path(folder).expanduser() for folder in arguments.models_dir]
    named = {part: _absolute(getattr(arguments, part)) for part in ("deltas", "encoder", "decoder")}
    given = {part: text for part, text in named.items() if text}
    transparency = {**library.find_parts((item for folder in folders for item in scan(folder)), given), **given}
    defaults = {"steps": arguments.steps, "sampler": _sampler(arguments.sampler)}
    values = {
        "title": arguments.title,
        "checkpoint": _absolute(arguments.checkpoint),
        "unet": _absolute(arguments.unet),
        "vae": _absolute(arguments.vae),
        "loras": [_lora(text) for text in arguments.lora],
        "few_steps": arguments.few_steps,
        "few_step_adapter": _fast_lora(arguments.fast_lora),
        "precision": arguments.precision,
        "prediction": arguments.prediction,
        "zero_snr": arguments.ztsnr or None,
        "transparency": transparency,
        "network_folders": [str(folder.absolute()) for root in folders for folder in places(root).networks],
        "defaults": {key: value for key, value in defaults.items() if value is not None},
    }
    given = {key: value for key, value in values.items() if value}
    spec = library.add_model(arguments.name, given, overwrite=arguments.overwrite)
    _report(spec)


def _sampler(name: str | None) -> str | None:
    key = None if name is None else sampler_key(name)
    if name is not None and key is None:
        raise UsageError(f"There is no sampler “{name}”; there are {', '.join(SAMPLERS.values())}.")
    return key


def _report(spec: ModelSpec) -> None:
    """What was added, and what it still lacks."""
    say(f"Added “{spec.name}” ({manifests_folder() / spec.name}.json).")
    for part in missing(spec):
        say(f"  missing: {part.role}, {part.source}{f', {part.size}' if part.size else ''}")
    if missing(spec):
        say(f"Fetch the rest with: layerfusion models pull {spec.name}")
    else:
        say(f'Draw with it: layerfusion generate "a cat" --background "a park" --model {spec.name} --out picture.psd')


def _absolute(text: str | None) -> str | None:
    """Make paths absolute, so that the manifest is valid wherever the command is run from."""
    return None if text is None else str(parse_weight_source(text))


def _fast_lora(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    path, _, kind = text.rpartition("=")
    if not path or kind not in get_args(FewSteps):
        raise UsageError(
            f"--fast-lora: “{text}” does not say of which kind it is: FILE={'|'.join(get_args(FewSteps))}."
        )
    return {"file": _absolute(path), "kind": kind}


def _lora(text: str) -> dict[str, Any]:
    path, equals, weight = text.rpartition("=")
    if not equals:
        return {"file": _absolute(text), "weight": 1.0}
    try:
        value = float(weight)
    except ValueError:
        raise UsageError(f"“{weight}” is no weight of a LoRA; write FILE=0.8.") from None
    return {"file": _absolute(path), "weight": value}


def pull_model(arguments: argparse.Namespace) -> None:
    """Fetch what a model lacks.

    Raises:
        EngineError: see `library.pull`.
    """
    from layerfusion.engine.models.catalog.hub import fetch

    spec = library.pull(arguments.name, fetch, say, new_name=arguments.called)
    if not spec.demo:
        _report(spec)


def scan_folders(arguments: argparse.Namespace) -> None:
    """List what other programs have, and add it if asked.

    Raises:
        CommandError: no such program is where programs usually are.
        BrokenModel: a folder that is not there.
    """
    named = [*arguments.folders, *arguments.models_dir]
    folders = [Path(folder).expanduser() for folder in named] or list(usual_folders())
    if not folders:
        raise CommandError(
            "No ComfyUI, A1111, Forge, InvokeAI or other program is where it usually is. "
            "Name a folder: layerfusion models scan DIR"
        )
    found: list[Found] = []
    for folder in folders:
        say(f"{folder}")
        for item in scan(folder):
            found.append(item)
            what = item.identity.what if item.identity else "not read: " + item.problem
            shown = item.path.relative_to(folder) if item.path.is_relative_to(folder) else item.path
            say(f"  {shown}  {item.bytes / 1e6:,.0f} MB  {what}")
    models = library.checkpoints(found)
    if not models:
        say("No SDXL model was found.")
    if arguments.add:
        _add_all(models, library.find_parts(found))
        return
    where = " ".join(f'--models-dir "{folder}"' for folder in folders)
    for item in models:
        say(f'Add it: layerfusion models add {_free_name(item.path)} "{item.path}" {where}')


def _add_all(models: list[Found], transparency: dict[str, str]) -> None:
    """Add checkpoints; one that cannot be added does not keep the others from it.

    Raises:
        CommandError: some could not be added.
    """
    refused = 0
    added = {spec.checkpoint.locate() for spec in known_models()[0]}
    for item in models:
        path = item.path.resolve()
        if path in added:
            say(f"{item.path} has been added before.")
            continue
        try:
            _report(library.add_model(_free_name(path), {"checkpoint": str(path), "transparency": transparency}))
        except EngineError as error:
            refused += 1
            say(f"not added: {error}")
    if refused:
        raise CommandError(f"{refused} of {len(models)} models could not be added.")


def _free_name(path: Path) -> str:
    """A name for a model, made of its file's, that no other model has."""
    name = library.valid_name(path.stem if path.is_file() else path.name)
    taken = {spec.name for spec in known_models()[0]}
    number = next(n for n in itertools.count(1) if (name if n == 1 else f"{name[:60]}-{n}") not in taken)
    return name if number == 1 else f"{name[:60]}-{number}"


def check_files(arguments: argparse.Namespace) -> None:
    """Say what files are.

    Raises:
        CommandError: one of them cannot be used.
    """
    useless = 0
    for name in arguments.files:
        useless += 0 if _check(Path(name)) else 1
    if useless:
        raise CommandError(f"{useless} of {len(arguments.files)} cannot be used as they are.")


def _check(path: Path) -> bool:
    """Report on one file; whether it can be used."""
    found = inspect_path(path)
    if found.identity is None:
        say(found.problem)
        return False
    identity = found.identity
    stored = f", {precision(read_header(path))}" if path.is_file() else ""
    say(f"{path}: {identity.what}, {found.bytes / 1e6:,.1f} MB{stored}")
    lacking: tuple[Network, ...] = ("vae",) if identity.lacks_vae else ()
    reasons = [] if identity.use is None else faults(path, identity.use, lacking)
    for line in (*reasons, identity.remedy, identity.warning):
        if line:
            say(f"  {line}")
    if identity.use is None or reasons:
        return False
    say(f"  fits: it can be used as the {identity.use.value} of an SDXL model here")
    return True
