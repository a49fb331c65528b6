"""LayerDiffuse's published files by their SHA-256, for files that names and shapes cannot tell apart.

The transparent networks for Stable Diffusion 1.5 have exactly the tensors of those for SDXL. Only their bytes differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from layerfusion.engine.errors import BrokenModel


@dataclass(frozen=True)
class Published:
    """A published file.

    Attributes:
        name: its file name.
        repository: the Hugging Face repository that has it.
        base: the base model that it is for.
    """

    name: str
    repository: str
    base: Literal["SDXL", "Stable Diffusion 1.5"]


_LAYERDIFFUSION = "LayerDiffusion/layerdiffusion-v1"

DIGESTS: Mapping[str, Published] = {
    "47d048bd7c6f": Published("vae_transparent_encoder.safetensors", _LAYERDIFFUSION, "SDXL"),
    "59dc8feefe40": Published("vae_transparent_decoder.safetensors", _LAYERDIFFUSION, "SDXL"),
    "4c6bd4fa714b": Published(
        "layer_sd15_vae_transparent_encoder.safetensors", _LAYERDIFFUSION, "Stable Diffusion 1.5"
    ),
    "6df4712dfbb3": Published(
        "layer_sd15_vae_transparent_decoder.safetensors", _LAYERDIFFUSION, "Stable Diffusion 1.5"
    ),
    "b7919c5b4837": Published("layer_xl_transparent_attn.safetensors", _LAYERDIFFUSION, "SDXL"),
    "2626f9aa142f": Published(
        "diffuser_layer_xl_transparent_attn.safetensors", "rootonchair/diffuser_layerdiffuse", "SDXL"
    ),
}
"""The first 12 hexadecimal digits of a file's SHA-256 -> the file. 48 bits suffice to tell known files apart; nothing
that concerns security depends on them. LayerDiffuse_Diffusers has the same bytes of encoder and decoder under other
names."""


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        BrokenModel: the file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BrokenModel(
            f"The model file {file} cannot be read ({error.strerror or error}).", "Check the path, or fetch it again."
        ) from error


def published(digest: str) -> Published | None:
    """The published file with a SHA-256; None for any other file."""
    return DIGESTS.get(digest[:12])
