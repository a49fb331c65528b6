"""Names of a model's files, and reading them so that every error names the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError

from layerfusion.engine.errors import BrokenModel

T = TypeVar("T")

CONFIGS = Path(__file__).parents[1] / "sdxl" / "configs"
"""SDXL's configurations in diffusers layout."""

UNET_PREFIX = "model.diffusion_model."
"""Prefix of the UNet's tensors in a single-file checkpoint."""


def unet_prefix(names: Collection[str]) -> str | None:
    """The prefix of a UNet's tensors among these names, LDM's or, without a prefix, diffusers'; None without a UNet."""
    for prefix in (UNET_PREFIX, "diffusion_model.", ""):
        if f"{prefix}input_blocks.0.0.weight" in names:
            return prefix
    alone = "conv_in.weight" in names and "time_embedding.linear_1.weight" in names
    return "" if alone else None


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        BrokenModel: the file is missing or contains no JSON object.
    """
    values = reading(file, lambda: json.loads(file.read_text(encoding="utf-8")))
    if not isinstance(values, dict):
        raise BrokenModel(f"{file} contains no JSON object.", "Fetch the model again.")
    return values


def reading(path: Path, read: Callable[[], T]) -> T:
    """Call `read` and turn the errors of libraries into a `BrokenModel` that names the file.

    Raises:
        BrokenModel: `read` failed.
    """
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BrokenModel(f"The model file {path} cannot be read: {reason}", "Fetch the model again.") from error
