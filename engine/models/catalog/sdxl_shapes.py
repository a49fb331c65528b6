"""The names and shapes of all tensors of SDXL's and LayerDiffuse's networks.

They are read from a table in the package, because building the networks to ask them takes seconds and hundreds of
megabytes. `tests/support/sdxl_files.py` makes the table from the configurations, and a test compares the two.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

Network = Literal["unet", "vae", "text_encoder", "text_encoder_2", "transparent_encoder", "transparent_decoder"]

SHAPES = Path(__file__).parents[1] / "sdxl" / "shapes.json"
"""The table: network -> tensor -> shape, and "single_file" -> tensor -> shape."""


def shapes(network: Network) -> Shapes:
    """A network's tensors with diffusers' names; those of text encoders without `text_model.`."""
    return _read(SHAPES)[network]


def single_file(prefix: str) -> Shapes:
    """The tensors of a single-file checkpoint whose names have a prefix, by their names in the file without it."""
    whole = _read(SHAPES)["single_file"]
    return {name.removeprefix(prefix): shape for name, shape in whole.items() if name.startswith(prefix)}


@cache
def _read(file: Path) -> dict[str, Shapes]:
    table = json.loads(file.read_text(encoding="utf-8"))
    return {network: {name: tuple(shape) for name, shape in tensors.items()} for network, tensors in table.items()}
