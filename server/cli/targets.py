"""Where a command writes. Nothing that is there already is replaced unless --overwrite says so."""

from __future__ import annotations

import argparse
import itertools
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layerfusion.engine import formats
from layerfusion.engine.errors import UnwritableFile
from layerfusion.engine.formats import png
from layerfusion.engine.formats.files import check_writable
from layerfusion.engine.image.layers import LayeredImage
from layerfusion.engine.image.placement import on_canvas
from layerfusion.server.cli import inspection
from layerfusion.server.cli.console import UsageError
from layerfusion.server.config import NO_PROMPTS_VARIABLE

OUT = "FILE.psd, FILE.ora, a folder for PNGs (a name ending in /), or FILE.png for the flat picture"


@dataclass(frozen=True)
class Target:
    """Where one picture goes.

    Attributes:
        out: its file or folder.
        sheet: the sheet of its masks; None if none is asked for.
        inside: the folder for what went on inside; None if none is asked for.
    """

    out: str
    sheet: Path | None = None
    inside: Path | None = None


def add_overwrite(parser: Any) -> None:
    """Declare `--overwrite`."""
    what = "replace files that are there already (default: refuse to)"
    parser.add_argument("--overwrite", "--force", action="store_true", help=what)


def add_content(parser: Any, *, full_canvas: bool = False) -> None:
    """Declare `--prompts` and `--full-canvas`.

    Args:
        full_canvas: what a folder gets if nothing is asked for.
    """
    prompts = (
        "whether files hold the prompts and seeds; that AI has made the picture they say in any case (default: they "
        f"do, unless the variable {NO_PROMPTS_VARIABLE} is set)"
    )
    parser.add_argument("--prompts", action=argparse.BooleanOptionalAction, help=prompts)
    canvas = "write layers at the canvas's size, so that they align in any program; what lies outside is cut off"
    usual = " (default: for folders)" if full_canvas else ""
    parser.add_argument("--full-canvas", action=argparse.BooleanOptionalAction, help=f"{canvas}{usual}")
    parser.set_defaults(folder_full_canvas=full_canvas)


def write(stack: LayeredImage, out: str, arguments: argparse.Namespace) -> LayeredImage:
    """Save a stack as `add_content` has asked for it, and return it as it was written.

    Raises:
        FileError: see `formats.save`.
    """
    with_prompts = arguments.prompts
    if with_prompts is None:
        with_prompts = not os.environ.get(NO_PROMPTS_VARIABLE)
    stack = stack if with_prompts else stack.without_prompts()
    whole = arguments.full_canvas
    if whole is None:
        whole = arguments.folder_full_canvas and formats.is_folder(out)
    if whole:
        stack = replace(stack, layers=tuple(on_canvas(layer, stack.size) for layer in stack))
    formats.save(stack, out)
    return stack


def beside(source: str, word: str) -> str:
    """A free name for what is made of a file: `apple.psd` -> `apple-again.psd`, or `apple-again-2.psd` and so on."""
    path = Path(source)
    suffix = {".psb": ".psd", ".png": ".psd"}.get(path.suffix.lower(), path.suffix)
    slash = "/" if formats.is_folder(source) else ""
    names = (f"{path.stem}-{word}{'' if number == 1 else f'-{number}'}{suffix}" for number in itertools.count(1))
    return next(f"{path.with_name(name)}{slash}" for name in names if not path.with_name(name).exists())


def check_out(out: str, *, overwrite: bool) -> None:
    """Find out before the work whether a layered file or folder can be written, and may be.

    Raises:
        UnknownFormat: a suffix no writer exists for.
        UnwritableFile: it cannot be written, or it is there and is not to be replaced.
    """
    formats.check_writable(out)
    check_free(Path(out) / png.MANIFEST if formats.is_folder(out) else Path(out), overwrite=overwrite)


def check_free(path: Path, *, overwrite: bool) -> None:
    """
    Raises:
        UnwritableFile: the file is there and is not to be replaced.
    """
    if not overwrite and path.exists():
        raise UnwritableFile(f"“{path}” is there already.", "Choose another name, or replace it with --overwrite.")


def generate_targets(arguments: argparse.Namespace) -> list[Target]:
    """Where each picture of `layerfusion generate` goes, found to be writable and free.

    Several pictures get numbers, the first one above those that are there, or 1 with --overwrite.

    Raises:
        UnknownFormat, UnwritableFile: see `check_out`.
        UsageError: a name that no number can be put behind.
    """
    count, overwrite = arguments.variants, arguments.overwrite
    if count is None:
        targets = [_target(arguments, arguments.out, arguments.inspect)]
    else:
        first = 1 if overwrite else 1 + max(_numbers(arguments.out), default=0)
        names = range(first, first + count)
        inside = [None if arguments.inspect is None else _numbered(arguments.inspect, n) for n in names]
        outs = [_numbered(arguments.out, n) for n in names]
        targets = [_target(arguments, out, folder) for out, folder in zip(outs, inside, strict=True)]
    for target in targets:
        check_out(target.out, overwrite=overwrite)
        if target.sheet is not None:
            if target.sheet.parent.is_dir():
                check_writable(target.sheet)
            check_free(target.sheet, overwrite=overwrite)
        if target.inside is not None:
            inspection.check_folder(target.inside, target.out)
            for name in inspection.FILES:
                check_free(target.inside / name, overwrite=overwrite)
    return targets


def _target(arguments: argparse.Namespace, out: str, inside: str | None) -> Target:
    path = Path(out)
    sheet = path / "masks.png" if formats.is_folder(out) else path.with_suffix(".masks.png")
    return Target(out, sheet if arguments.masks else None, None if inside is None else Path(inside))


def _numbered(out: str, number: int) -> str:
    """`apple.psd` -> `apple-3.psd`, `apple/` -> `apple-3/`."""
    path = Path(out)
    if path.name in ("", ".."):
        raise UsageError(f"“{out}” has no name that --variants could number; give one, for example {out}/apple.psd.")
    slash = "/" if out.endswith(("/", "\\")) else ""
    return f"{path.with_name(f'{path.stem}-{number}{path.suffix}')}{slash}"


def _numbers(out: str) -> list[int]:
    """Numbers that are taken beside `out`."""
    path = Path(out)
    form = re.compile(rf"{re.escape(path.stem)}-(\d{{1,9}}){re.escape(path.suffix)}", re.IGNORECASE)
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return [int(match[1]) for file in beside if (match := form.fullmatch(file.name))]
