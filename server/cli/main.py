"""The command `layerfusion`.

Exit codes: 0 done; 2 wrong usage or input, or an output that cannot be written; 1 anything else; 130 stopped with
Ctrl-C. Whatever is wrong is said in one line on the error stream.

Nothing heavy is imported here: each command imports torch and the like when it runs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, get_args

from layerfusion.engine.errors import EngineError, FileError, InvalidRequest, UnknownModel
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.options.harmony import HarmonyMode
from layerfusion.engine.options.presets import Preset
from layerfusion.engine.request import HARMONISE_STRENGTH, MAX_FOREGROUNDS
from layerfusion.server.cli import benchmark, doctor, evaluate, export, generate, jobs, models, plugin, serve, train
from layerfusion.server.cli.console import CommandError, UsageError, be_forgiving, say
from layerfusion.server.cli.sources import numbered, read_box, read_place, read_switch

_WRONG_INPUT = (InvalidRequest, FileError, UnknownModel)
MEMORY_POLICIES = ("auto", "resident", "offload", "sequential")
"""Of `engine.models.runtime.offloading`, which is not imported here."""

_LONGEST = 500
"""Characters of an error: enough for any of ours; a quoted argument may be longer than a screen."""


_EXAMPLES = """\
the embedded model draws these well; `layerfusion models show tiny` lists all it knows:
  layerfusion generate "a red apple" --background "a beach at sunset" --out apple.psd
  layerfusion generate "a penguin" --background "snowy mountains at sunrise" --out penguin.ora
  layerfusion generate "a robot" --background "a room with a blue wall" --out robot/
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    be_forgiving((sys.stdout, sys.stderr))
    try:
        arguments = _parser().parse_args(argv)
        return arguments.run(arguments) or 0
    except UsageError as error:
        return _fail(2, error)
    except EngineError as error:
        return _fail(2 if isinstance(error, _WRONG_INPUT) else 1, error)
    except CommandError as error:
        return _fail(1, error)
    except KeyboardInterrupt:
        return _fail(130, "Stopped.")


def _fail(code: int, reason: object) -> int:
    text = f"layerfusion: {reason}"
    say(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…", sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """argparse without abbreviations, and with one sentence in the place of a usage dump."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:].rstrip('.')}. See: {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="layerfusion",
        description="Draws foreground, background and their harmonised blend together, as layers with alpha.",
    )
    parser.add_argument("--version", action="version", version=f"layerfusion {metadata.version('layerfusion')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_generate(commands)
    convert = commands.add_parser("export", help="convert a layered file", description="Convert a layered file.")
    convert.add_argument("source", metavar="IN", help="FILE.psd, FILE.ora or a folder of layers")
    convert.add_argument("out", metavar="OUT", help="FILE.psd, FILE.ora or a folder (a name ending in /)")
    convert.set_defaults(run=export.run)
    _add_serve(commands)
    _add_jobs(commands)
    _add_plugin(commands)
    _add_train(commands)
    evaluate.register(commands)
    models.add_parser(commands)
    _add_benchmark(commands)
    what = "check the installation and say what is missing"
    commands.add_parser("doctor", help=what, description=f"{what.capitalize()}.").set_defaults(run=doctor.run)
    return parser


def _add_generate(commands: Any) -> None:
    parser = commands.add_parser(
        "generate",
        help="draw a layered picture",
        description="Draw a layered picture from a prompt for each foreground and one for the background.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=generate.run)
    add = parser.add_argument
    add("foregrounds", metavar="FG", nargs="+", help=f"what stands in front, bottom first; 1 to {MAX_FOREGROUNDS}")
    add("--background", metavar="BG", required=True, help="what lies behind")
    add("--blended", metavar="P", help="what the whole picture shows (default: made of the other prompts)")
    add("--negative", metavar="P", default="", help="what to avoid, in every layer")
    add("--seed", metavar="N", type=int, default=0, help="the same number gives the same picture (default: 0)")
    add("--steps", metavar="N", type=int, help="denoising steps (default: the model's)")
    add("--guidance", metavar="X", type=float, help="how closely to follow the prompts (default: the model's)")
    add(
        "--size",
        metavar="WxH",
        type=_size,
        help="canvas in pixels (default: 512x512, or the kept foreground's own size)",
    )
    add(
        "--keep-foreground",
        metavar="FILE.png",
        help="short for --keep 1=FILE.png",
    )
    foreground = "N is a foreground's number, 1 the first; may be repeated"
    add(
        "--keep",
        metavar="N=FILE.png",
        type=numbered(Path),
        action="append",
        default=[],
        help="keep this cut-out as foreground N, or this picture as the background (bg=FILE), byte for byte, and draw "
        "the rest around it; its prompt then says what it shows; it keeps its size, is centred on the canvas, and may "
        "be larger; may be repeated",
    )
    add(
        "--relight",
        metavar="N=X",
        type=numbered(float),
        action="append",
        default=[],
        help="draw the kept foreground N (or bg) anew over its own pixels, to fit the picture: 0 hardly, 1 wholly",
    )
    add(
        "--at",
        metavar="N=X,Y",
        type=numbered(read_place),
        action="append",
        default=[],
        help=f"where the kept picture's top left corner is on the canvas; {foreground}",
    )
    add(
        "--box",
        metavar="N=X,Y,WxH",
        type=numbered(read_box),
        action="append",
        default=[],
        help=f"draw the foreground in this box on the canvas, or fit the kept one into it; {foreground}",
    )
    add(
        "--layer-seed",
        metavar="N=SEED",
        type=numbered(int),
        action="append",
        default=[],
        help="a seed of its own for foreground N, or for bg",
    )
    add(
        "--harmonise",
        metavar="X",
        type=float,
        help="how much of the blended picture is drawn anew if every layer is kept, 0 to 1 "
        f"(default: {HARMONISE_STRENGTH})",
    )
    add(
        "--preset",
        choices=get_args(Preset),
        help="how close to the paper, how fast (default: the model's own way)",
    )
    add(
        "--set",
        dest="switches",
        metavar="NAME=VALUE",
        type=read_switch,
        action="append",
        default=[],
        help="one switch of the method, as docs/fusion-settings.md lists them, after the preset; may be repeated",
    )
    add(
        "--harmony",
        choices=get_args(HarmonyMode),
        default="clean",
        help="how Shadow and Light are made (default: clean)",
    )
    add(
        "--refine",
        metavar="X",
        type=float,
        default=0.0,
        help="on a canvas larger than the model draws: draw the layers over once more in tiles, for crisper edges; 0.1 "
        "to 0.2 keeps what there is (default: 0, off)",
    )
    add("--model", metavar="NAME", help="see `layerfusion models` (default: the first it lists)")
    _add_memory(add)
    add("--masks", action="store_true", help="also write a sheet of the attention masks over the steps")
    add(
        "--inspect",
        metavar="FOLDER",
        help="also write what went on inside into a folder: priors, masks and every stream's estimates over the steps, "
        "as sheets and as NumPy arrays, and how far the masks were trusted",
    )
    add("--out", metavar="OUT", required=True, help="FILE.psd, FILE.ora or a folder for PNGs (a name ending in /)")
    add("--server", metavar="URL", help="have a server draw it: ws://HOST:PORT/, wss://HOST:PORT/, or local")
    add("--token-file", metavar="FILE", help="that server's token (default: the variable LAYERFUSION_TOKEN)")
    add("--tls-ca", metavar="FILE", help="its certificate in PEM, if the system does not trust it by itself")


def _add_serve(commands: Any) -> None:
    parser = commands.add_parser(
        "serve",
        help="run the server for Krita",
        description="Run the server for Krita until Ctrl-C. Only programs of this user on this machine can connect, "
        "unless --host says otherwise; see SECURITY.md.",
    )
    parser.set_defaults(run=serve.run)
    add = parser.add_argument
    add("--port", metavar="N", type=int, help="where it listens (default: 8737, or any free port if that is taken)")
    add("--folder", metavar="DIR", help="where jobs and layers are kept (default: with the user's data)")
    add("--keep-days", metavar="N", type=_amount, help="forget jobs that are older (default: 30; a week if unfetched)")
    add("--keep-gigabytes", metavar="X", type=_amount, help="forget the oldest jobs beyond this (default: 17)")
    add("--origin", metavar="URL", action="append", default=[], help="a web page that may connect; may be repeated")
    _add_memory(add)
    add("--host", metavar="ADDR", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--name", metavar="HOST", action="append", default=[], help="a host name clients use; may be repeated")
    add("--tls-cert", metavar="FILE", help="certificate chain in PEM: encrypts the connection")
    add("--tls-key", metavar="FILE", help="its private key in PEM, without a password")
    add("--token-file", metavar="FILE", help="what clients must show (default: a fresh token at every start)")
    add(
        "--i-know-that-others-can-read-everything",
        dest="unencrypted",
        action="store_true",
        help="let other machines connect without encryption",
    )


def _add_jobs(commands: Any) -> None:
    what = "look at, export or forget the jobs a server keeps"
    parser = commands.add_parser("jobs", help=what, description=f"{what.capitalize()}.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: Any, help_text: str) -> Any:
        added = actions.add_parser(name, help=help_text, description=f"{help_text.capitalize()}.")
        added.set_defaults(run=run)
        added.add_argument("--folder", metavar="DIR", help="the server's folder (default: the user's)")
        return added

    listed = action("list", jobs.run_list, "list the newest jobs")
    listed.add_argument("--newest", metavar="N", type=_count, default=50, help="how many (default: 50)")
    action("show", jobs.run_show, "show one job").add_argument("job", metavar="JOB", help="its id, or how it begins")
    export_job = action("export", jobs.run_export, "write a finished job to a layered file")
    export_job.add_argument("job", metavar="JOB", help="its id, or how it begins")
    export_job.add_argument("out", metavar="OUT", help="FILE.psd, FILE.ora or a folder for PNGs (a name ending in /)")
    pruned = action("prune", jobs.run_prune, "forget old jobs; those nobody fetched stay for a week at least")
    pruned.add_argument("--days", metavar="N", type=_amount, help="older than this (default: 30)")
    pruned.add_argument(
        "--gigabytes", metavar="X", type=_amount, help="the oldest, until so much is left (default: 17)"
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"“{text}” is no number from 1 to 1000000")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not 0 <= amount <= 1e9:
        raise argparse.ArgumentTypeError(f"“{text}” is no number from 0 on")
    return amount


def _add_plugin(commands: Any) -> None:
    parser = commands.add_parser("plugin", help="the plugin for Krita", description="The plugin for Krita.")
    parser.set_defaults(run=plugin.run)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="make the zip Krita imports", description="Make the zip Krita imports.")
    build.add_argument("--out", metavar="DIR", default=".", help="folder to write it to (default: this one)")
    actions.add_parser("install", help="put it into your Krita", description="Put the plugin into your Krita.")


def _add_memory(add: Any) -> None:
    add(
        "--memory",
        choices=MEMORY_POLICIES,
        default=MEMORY_POLICIES[0],
        help="how much of the model is on the graphics card at a time (default: auto, by what is free)",
    )


def _add_benchmark(commands: Any) -> None:
    parser = commands.add_parser(
        "benchmark",
        help="count what drawing with SDXL costs",
        description="Count the operations of every preset beside the stock SDXL pipeline, and the memory every policy "
        "needs. Needs neither weights nor a graphics card.",
    )
    parser.set_defaults(run=benchmark.run)
    add = parser.add_argument
    add("--size", metavar="WxH", type=_size, default=Size(1024, 1024), help="canvas in pixels (default: 1024x1024)")
    add("--steps", metavar="N", type=int, choices=range(1, 151), help="denoising steps, 1-150 (default: SDXL's, 30)")
    foregrounds = range(1, MAX_FOREGROUNDS + 1)
    add("--foregrounds", metavar="K", type=int, choices=foregrounds, default=1, help="how many (default: 1)")


def _size(text: str) -> Size:
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"“{text}” is no size; write width x height, for example 512x512")
    return Size(int(match[1]), int(match[2]))


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train the embedded model anew (needs the extra `train`)",
        description="Run one stage of the embedded model's training, or go on with it. Stages, in order: dataset, vae, "
        "latents, unet, transparency, deltas, decoder, export; beside them classifier and measure.",
    )
    parser.set_defaults(run=train.run)
    add = parser.add_argument
    add("stage", metavar="STAGE", help="which")
    add("--folder", metavar="DIR", default="training", help="where everything goes (default: training)")
    add("--sprites", metavar="DIR", help="the unpacked sprite packages; dataset and measure need them")
    add("--minutes", metavar="M", type=float, help="of training in all, earlier runs included (default: the stage's)")
    add(
        "--from",
        dest="start",
        metavar="CARD",
        help="model.json to start from or to measure (default: the embedded one)",
    )
    add("--device", metavar="D", default="cpu", help="cpu, cuda or mps (default: cpu)")
    add("--pairs", metavar="N", type=int, default=120, help="pairs that measure draws (default: 120)")
