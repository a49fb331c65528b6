"""The text `parameters` of a PNG, which A1111 introduced and other programs for Stable Diffusion read."""

from __future__ import annotations

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import LayeredImage, Role

_SHORT_HASH = 10
"""Characters of a model's SHA-256 that such texts show."""


def to_parameters(stack: LayeredImage) -> str:
    """The text for the merged picture of a stack; empty if nothing is known of it, or its prompts are withheld."""
    record = stack.record
    if record is None or not record.blended_prompt:
        return ""
    blended = next((layer.record for layer in stack.by_role(Role.BLENDED) if layer.record is not None), None)
    negative = blended.negative_prompt if blended is not None else ""
    fields = {
        "Steps": record.steps,
        "Sampler": record.sampler_title,
        "CFG scale": None if record.guidance_scale is None else f"{record.guidance_scale:g}",
        "Seed": record.seed,
        "Size": _size(stack.size),
        "Model hash": record.model_sha256[:_SHORT_HASH],
        "Model": record.model,
        "Denoising strength": None if record.blended_strength is None else f"{record.blended_strength:g}",
        "Lora hashes": ", ".join(f"{lora.name}: {lora.sha256[:_SHORT_HASH]}" for lora in record.loras),
        "Version": record.tool,
    }
    listed = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in fields.items() if value not in (None, ""))
    avoided = [f"Negative prompt: {_one_line(negative)}"] if negative else []
    return "\n".join([_one_line(record.blended_prompt), *avoided, listed])


def _size(size: Size) -> str:
    return f"{size.width}x{size.height}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _quoted(text: str) -> str:
    """A value with the separators of such a text is written in double quotes, as JSON."""
    if not any(separator in text for separator in (",", ":", "\n", '"')):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
