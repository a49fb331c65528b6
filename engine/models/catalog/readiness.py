"""Whether all parts of a model are on this machine. Looks at names and places only; opens no weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from layerfusion.engine.models.catalog.spec import ModelSpec
from layerfusion.engine.models.catalog.weight_source import HubWeights, WeightSource

SIZES = {
    "layer_xl_transparent_attn.safetensors": "743 MB",
    "vae_transparent_encoder.safetensors": "2.4 MB",
    "vae_transparent_decoder.safetensors": "208 MB",
    "ld_diffusers_sdxl_attn.safetensors": "1.91 GB",
    "stabilityai/stable-diffusion-xl-base-1.0": "6.9 GB",
}
"""What the published files weigh, by file name or repository."""


@dataclass(frozen=True)
class Part:
    """One file or folder a model is made of.

    Attributes:
        role: what it is to the model, in words.
        place: where it should be.
        path: where it is, None if it is missing.
    """

    role: str
    place: WeightSource
    path: Path | None

    @property
    def size(self) -> str:
        """Of a missing part, in words; empty if it is not known."""
        if not isinstance(self.place, HubWeights):
            return ""
        return SIZES.get(Path(self.place.file).name or self.place.repo, "")


def parts(spec: ModelSpec) -> tuple[Part, ...]:
    """All parts of a model, found or not. A file that holds two is listed once."""
    transparency = spec.transparency
    places: list[tuple[str, WeightSource | None]] = [
        ("checkpoint", spec.checkpoint),
        ("configurations", spec.configs),
        ("VAE", spec.vae),
        *((f"LoRA, weight {lora.weight:g}", lora.file) for lora in spec.loras),
        ("foreground deltas", transparency.deltas),
        ("transparent encoder", transparency.encoder),
        ("transparent decoder", transparency.decoder if transparency.decoder != transparency.encoder else None),
    ]
    return tuple(Part(role, place, place.locate()) for role, place in places if place is not None)


def missing(spec: ModelSpec) -> tuple[Part, ...]:
    """The parts that are not on this machine."""
    return tuple(part for part in parts(spec) if part.path is None)
