"""Warnings about SDXL checkpoints on which LayerDiffuse is known to fail, by what their files say of themselves."""

from __future__ import annotations

from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.models.catalog.schedules import predicts_v

_FAILING = ("illustrious", "noobai", "noob ai", "animagine xl 4", "animagine-xl-4", "animagine_xl_4")
"""Names of base models, in lower case. Reports name these (sd-forge-layerdiffuse #145, ComfyUI-layerdiffuse #124);
models based on Pony Diffusion are not among them."""


def lineage_warning(header: Header) -> str:
    """A warning if a checkpoint's metadata names a base model on which LayerDiffuse is known to fail; else empty.

    Such models were fine-tuned too far from the SDXL on which LayerDiffuse was trained. The name may be anywhere in
    the metadata, also inside the long record of a merge.
    """
    named = next((name for name in _FAILING if any(name in text.casefold() for text in header.metadata.values())), None)
    if predicts_v(header):
        reason = "It is a v-prediction model, for which LayerDiffuse's weights were not trained"
    elif named is not None:
        reason = f"Its metadata names “{named}”, and models based on that were fine-tuned far from SDXL"
    else:
        return ""
    return (
        f"{reason}: foregrounds may come out opaque or tinted. If they do, use a model closer to SDXL's base model, "
        "or add “plain grey background” to the foreground's prompt."
    )
