"""What the commands say to a person at a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from layerfusion.engine.image.layers import LayeredImage


class UsageError(Exception):
    """The command line cannot be carried out as it stands; the text is one sentence for a person. Exit code 2."""


class CommandError(Exception):
    """The command was right and failed all the same; the text is one sentence for a person. Exit code 1."""


def say(text: str, file: TextIO | None = None) -> None:
    """Print one line. Control characters, which a file's layer names could carry into the terminal, become “\ufffd”."""
    print(re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", text), file=file or sys.stdout, flush=True)


def be_forgiving(streams: Iterable[TextIO]) -> None:
    """Let terminals that cannot show a character show “?” instead of failing: layer names may be in any script."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def list_layers(stack: LayeredImage, path: str, *, seed: int | None = None, briefly: bool = False) -> None:
    """Name, size and place of every layer written, topmost first as in a layer docker, then the file.

    Args:
        seed: of the drawing, if it was drawn now.
        briefly: leave out the layers.
    """
    width = max(len(layer.name) for layer in stack)
    for layer in () if briefly else reversed(stack.layers):
        notes = [layer.blend.value] + ([] if layer.visible else ["hidden"])
        x, y = layer.offset
        place = f" at {x},{y}" if (x, y) != (0, 0) else ""
        say(f"  {layer.name:<{width}}  {layer.size}{place}  {', '.join(notes)}")
    origin = "" if seed is None else f", seed {seed}"
    say(f"{path}  {stack.size} px, {len(stack)} layers, {_bytes(path) / 1e6:.1f} MB{origin}")


def _bytes(name: str) -> int:
    from pathlib import Path

    path = Path(name)
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def nearest(word: str, known: Iterable[str]) -> str:
    """“; did you mean …?” with the known word that is most like `word`, or nothing."""
    import difflib

    names = list(known)
    plain = word.lstrip("-").replace("_", "-").casefold()
    starting = [name for name in names if plain and name.lstrip("-").startswith(plain)]
    near = difflib.get_close_matches(word.casefold(), names, n=1) or starting
    return f"; did you mean {near[0]}?" if near else ""
