"""Where the layers of `layerfusion generate` come from: prompts, files to keep or relight, boxes and places."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from layerfusion.engine import formats
from layerfusion.engine.errors import InvalidLayer
from layerfusion.engine.image.geometry import MAX_ASPECT, MIN_SIDE, Box, Size
from layerfusion.engine.image.layers import Layer, Role, covers
from layerfusion.engine.image.placement import fitted
from layerfusion.engine.notices import Notice
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.sources import MAX_SEED, Existing, Generated, Kept, Relit, Source
from layerfusion.server.cli import values
from layerfusion.server.cli.console import UsageError, nearest

T = TypeVar("T")

BACKGROUND = 0
"""The background's number among the layers; foregrounds count from 1, bottom first."""


def add_options(group: Any) -> None:
    """Declare the options that say something of single layers; all but the first may be repeated."""
    group.add_argument("--keep-foreground", metavar="FILE", help="short for --keep 1=FILE")

    def add(name: str, metavar: str, read: Callable[[str], Any], what: str) -> None:
        group.add_argument(name, metavar=metavar, type=numbered(read), action="append", default=[], help=what)

    keep = (
        "keep this cut-out as foreground N, or this picture as the background, byte for byte, and draw the rest around "
        "it; its prompt then says what it shows; it keeps its size, is centred on the canvas, and may be larger. FILE "
        "is a PNG, WebP, JPEG or TIFF, or a layer at its place, such as moved.psd#Foreground"
    )
    add("--keep", "N=FILE", str, keep)
    relight = "draw the kept layer N anew over its own pixels, to fit the picture: 0 hardly, 1 wholly"
    add("--relight", "N=X", values.number(0, 1), relight)
    add("--at", "N=X,Y", read_place, "where the top left corner of the kept layer N is on the canvas, in pixels")
    box = "draw foreground N in this box on the canvas, or fit the kept one into it, in pixels"
    add("--box", "N=X,Y,WxH", read_box, box)
    add("--layer-seed", "N=SEED", values.whole(0, MAX_SEED), "a seed of its own for layer N (default: made of --seed)")


def numbered(read: Callable[[str], T]) -> Callable[[str], tuple[int, T]]:
    """An argparse type for `N=VALUE`: a foreground's number, or `bg`, and something about it."""

    def parse(text: str) -> tuple[int, T]:
        number, equals, value = text.partition("=")
        if not equals or not re.fullmatch(r"bg|[1-9]\d?", number.strip()):
            raise argparse.ArgumentTypeError(f"“{text}” does not begin with a foreground's number or bg, and =")
        return BACKGROUND if number.strip() == "bg" else int(number), read(value)

    return parse


def read_box(text: str) -> Box:
    """`X,Y,WxH` in pixels."""
    match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})x(\d{1,6})", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"“{text}” is no box; write x,y,WxH, for example 40,200,256x256")
    return Box(*(int(part) for part in match.groups()))


def read_place(text: str) -> tuple[int, int]:
    """`X,Y` in pixels; may be negative."""
    match = re.fullmatch(r"(-?\d{1,6}),(-?\d{1,6})", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"“{text}” is no place; write x,y, for example 40,-20")
    return int(match[1]), int(match[2])


def read_switch(text: str) -> tuple[str, str]:
    """`NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"“{text}” is no option; write name=value, for example prior=lagged")
    known = [option.name for option in FusionSettings.options()]
    if name.strip() not in known:
        meant = nearest(name.strip(), known) or "; `layerfusion options` lists them."
        raise argparse.ArgumentTypeError(f"there is no option “{name.strip():.60}”{meant}")
    return name.strip(), value.strip()


@dataclass(frozen=True)
class LayerSources:
    """What the command line says of single layers.

    Attributes:
        foregrounds, background: where the layers come from.
        size: the canvas, as far as the command line or the kept pictures say it.
        notices: what the user should know of the kept pictures.
    """

    foregrounds: tuple[Source, ...]
    background: Source
    size: Size | None
    notices: tuple[Notice, ...]


def layer_sources(arguments: argparse.Namespace) -> LayerSources:
    """Read what the command line says of single layers.

    Raises:
        UsageError: something is said of a foreground there is not, or twice, or of a layer it does not fit.
        InvalidRequest: a value outside its range, or a picture nothing can be made of.
        UnreadableFile: a file to keep cannot be read.
    """
    prompts = {BACKGROUND: arguments.background, **dict(enumerate(arguments.foregrounds, start=1))}
    keep = _table("--keep", [*_first(arguments.keep_foreground), *arguments.keep], prompts)
    about = {
        name: _table(f"--{name}", getattr(arguments, name.replace("-", "_")), prompts)
        for name in ("at", "box", "relight", "layer-seed")
    }
    for name in ("at", "relight"):
        for number in about[name].keys() - keep.keys():
            raise UsageError(f"--{name} {_name(number)}=… is for a kept picture; add --keep {_name(number)}=FILE.png.")
    pictures = {number: formats.load_layer(path) for number, path in keep.items()}
    size: Size | None = arguments.size or _holding(pictures, about["at"], about["box"])

    def source(number: int) -> Source:
        box, seed, strength = (about[name].get(number) for name in ("box", "layer-seed", "relight"))
        if number not in pictures:
            return Generated(prompt=prompts[number], negative_prompt=arguments.negative, seed=seed, box=box)
        layer = _placed(number, keep[number], pictures[number], size, about["at"].get(number), box)
        if strength is not None:
            return Relit(
                layer=layer, prompt=prompts[number], negative_prompt=arguments.negative, seed=seed, strength=strength
            )
        if seed is not None:
            raise UsageError(f"--layer-seed {_name(number)}=… is for a drawn layer; this one is kept as it is.")
        return Kept(layer=layer, prompt=prompts[number])

    made = {number: source(number) for number in prompts}
    return LayerSources(
        foregrounds=tuple(made[number] for number in range(1, len(prompts))),
        background=made[BACKGROUND],
        size=size,
        notices=tuple(_centred_ones(made, pictures, {*about["at"], *about["box"]}, size)),
    )


def _centred_ones(
    sources: Mapping[int, Source], pictures: Mapping[int, formats.Referenced], placed: Container[int], size: Size | None
) -> Iterator[Notice]:
    """Name the kept pictures that lie in the middle of the canvas because nothing says where they belong."""
    for number, picture in sorted(pictures.items()):
        source = sources[number]
        if picture.canvas is None and number not in placed and isinstance(source, Existing):
            layer, (x, y) = source.layer, source.layer.offset
            if size is not None and layer.size != size:
                text = (
                    f"“{layer.name}” is {layer.size} px and the canvas {size} px: it lies in the middle, at {x},{y}. "
                    f"--at {_name(number)}=X,Y places it."
                )
                yield Notice(code="layer_centred", text=text)


def _holding(
    pictures: Mapping[int, formats.Referenced], places: Mapping[int, tuple[int, int]], boxes: Mapping[int, Box]
) -> Size | None:
    """The canvas if no size is given: that of a kept background, or else the smallest that holds every kept picture at
    its place, and every box. None if nothing is kept but pictures in boxes."""
    if BACKGROUND in pictures:
        return pictures[BACKGROUND].canvas or pictures[BACKGROUND].layer.size
    free = {number: picture for number, picture in pictures.items() if number not in boxes}
    if not free:
        return None
    reaches = [(box.x + box.width, box.y + box.height) for box in boxes.values()]
    for number, picture in free.items():
        (x, y), size = places.get(number, (0, 0)), picture.layer.size
        reaches.append((x + size.width, y + size.height))
        if picture.canvas is not None:
            reaches.append((picture.canvas.width, picture.canvas.height))
    width, height = (max(MIN_SIDE, *(reach[axis] for reach in reaches)) for axis in (0, 1))
    least = math.ceil(max(width, height) / MAX_ASPECT)
    return Size(max(width, least), max(height, least))


def _first(path: str | None) -> list[tuple[int, str]]:
    return [] if path is None else [(1, path)]


def _table(option: str, pairs: list[tuple[int, T]], prompts: dict[int, str]) -> dict[int, T]:
    table: dict[int, T] = {}
    for number, value in pairs:
        if number not in prompts:
            raise UsageError(f"{option} names foreground {number}; there are {len(prompts) - 1}.")
        if number in table:
            raise UsageError(f"{option} is given twice for {_name(number)}.")
        table[number] = value
    return table


def _name(number: int) -> str:
    return "bg" if number == BACKGROUND else str(number)


def _placed(
    number: int,
    file: str,
    picture: formats.Referenced,
    size: Size | None,
    at: tuple[int, int] | None,
    box: Box | None,
) -> Layer:
    """A picture as a layer: in its box, at the place that is asked for or that its file says, or in the middle of the
    canvas; at its own size unless it has a box."""
    layer = picture.layer
    offset = at or (layer.offset if picture.canvas is not None else _centred(layer.size, size))
    pixels = layer.pixels
    if box is not None:
        if at is not None:
            raise UsageError(f"--at and --box both say where {_name(number)} is; give one.")
        if number == BACKGROUND:
            raise UsageError("--box is for foregrounds; a background fills the canvas.")
        placed = fitted(pixels, box)
        pixels, offset = placed if placed is not None else (pixels, offset)
    if not pixels[..., 3].any():
        raise InvalidLayer(f"“{file}” is transparent all over.", "Keep a picture that shows something.")
    role = Role.BACKGROUND if number == BACKGROUND else Role.FOREGROUND
    layer = replace(layer, role=role, pixels=pixels, offset=offset, visible=True, record=None)
    if number != BACKGROUND and covers(layer, size or layer.size):
        raise InvalidLayer(
            f"“{file}” hides the whole background.",
            "Keep a cut-out: the rest is drawn around it. For a background, write --keep bg=FILE.",
        )
    return layer


def _centred(size: Size, canvas: Size | None) -> tuple[int, int]:
    return (0, 0) if canvas is None else ((canvas.width - size.width) // 2, (canvas.height - size.height) // 2)
