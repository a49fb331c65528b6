"""Check whether all files of a model are on this machine. It looks for the files and does not open them."""

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
"""Sizes of published files, by file name or repository, as they are shown to the user."""


@dataclass(frozen=True)
class Part:
    """One file or folder of a model.

    Attributes:
        role: its purpose, such as “transparent decoder”.
        source: where the manifest says that it is.
        path: where it is on this machine; None if it is missing.
    """

    role: str
    source: WeightSource
    path: Path | None

    @property
    def size(self) -> str:
        """The download's size, such as "2.4 MB"; empty if it is unknown."""
        if not isinstance(self.source, HubWeights):
            return ""
        return SIZES.get(Path(self.source.file).name or self.source.repo, "")


def parts(spec: ModelSpec) -> tuple[Part, ...]:
    """All parts of a model, whether they are here or not. A file that contains encoder and decoder is listed once."""
    transparency = spec.transparency
    sources: list[tuple[str, WeightSource | None]] = [
        ("checkpoint", spec.checkpoint),
        ("configurations", spec.configs),
        ("UNet", spec.unet),
        ("VAE", spec.vae),
        *((f"LoRA, weight {lora.weight:g}", lora.file) for lora in spec.loras),
        ("few-step adapter", spec.few_step_adapter and spec.few_step_adapter.lora.file),
        ("foreground deltas", transparency.deltas),
        ("transparent encoder", transparency.encoder),
        ("transparent decoder", transparency.decoder if transparency.decoder != transparency.encoder else None),
    ]
    return tuple(Part(role, source, source.locate()) for role, source in sources if source is not None)


def missing(spec: ModelSpec) -> tuple[Part, ...]:
    """The parts that are not on this machine."""
    return tuple(part for part in parts(spec) if part.path is None)
