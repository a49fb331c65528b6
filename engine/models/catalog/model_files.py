"""What a model's files are called, and how one is read so that a broken one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError

from layerfusion.engine.errors import BrokenModel

T = TypeVar("T")

CONFIGS = Path(__file__).parents[1] / "sdxl" / "configs"
"""SDXL's configurations in diffusers layout."""

UNET_PREFIX = "model.diffusion_model."
"""How the UNet's tensors begin in a single file."""


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BrokenModel: it is missing, or none.
    """
    values = reading(file, lambda: json.loads(file.read_text(encoding="utf-8")))
    if not isinstance(values, dict):
        raise BrokenModel(f"{file} holds no JSON object.", "Fetch the model again.")
    return values


def reading(path: Path, read: Callable[[], T]) -> T:
    """Whatever goes wrong inside a library while a model file is read becomes one sentence naming the file.

    Raises:
        BrokenModel: see above.
    """
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BrokenModel(f"The model file {path} cannot be read: {reason}", "Fetch the model again.") from error
