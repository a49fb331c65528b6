"""Identification of checkpoints and of UNets alone, and of the relatives of SDXL that cannot be drawn with."""

from __future__ import annotations

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.families import other_family
from layerfusion.engine.models.catalog.identity import Identity, Use
from layerfusion.engine.models.catalog.lineage import lineage_warning
from layerfusion.engine.models.catalog.model_files import UNET_PREFIX, unet_prefix
from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.models.catalog.schedules import of_file

Shape = tuple[int, ...]

CONTROLNET = Identity("a ControlNet", remedy="LayerFusion uses none. Use an SDXL checkpoint.")


def checkpoint(header: Header) -> Identity | None:
    """A checkpoint in a single file, or a UNet with a checkpoint's names; None for any other file."""
    if not any(name.startswith(UNET_PREFIX) for name in header.tensors):
        return None
    family = other_family(name.removeprefix(UNET_PREFIX) for name in header.tensors if name.startswith(UNET_PREFIX))
    if family is not None:
        return Identity(f"a checkpoint of {family}", remedy="Use an SDXL checkpoint.")
    conv_in = header.shape(f"{UNET_PREFIX}input_blocks.0.0.weight")
    label = header.shape(f"{UNET_PREFIX}label_emb.0.0.weight")
    if label is None or conv_in is None:
        return Identity(
            "a checkpoint of Stable Diffusion 1 or 2, or of another family", remedy="Use an SDXL checkpoint."
        )
    refused = relative(conv_in, label, "checkpoint") or _unsampled(header)
    if refused is not None:
        return refused
    lacks = [
        part
        for part, name in {
            "VAE": "first_stage_model.decoder.conv_in.weight",
            "first text encoder": "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight",
            "second text encoder": "conditioner.embedders.1.model.ln_final.weight",
        }.items()
        if name not in header.tensors
    ]
    what, warning = "SDXL checkpoint, a single file", lineage_warning(header)
    if lacks == ["VAE"]:
        what = f"{what} without a VAE"
        return Identity(what, Use.CHECKPOINT, "Add one with --vae FILE.", warning, lacks_vae=True)
    if len(lacks) == 3:
        return _alone(warning)
    if lacks:
        return Identity(f"{what} without {', '.join(lacks)}", remedy="Use a complete checkpoint.")
    return Identity(what, Use.CHECKPOINT, warning=warning)


def unet(header: Header) -> Identity | None:
    """A UNet alone: with LDM names, bare or after `diffusion_model.`, or with diffusers'; None for any other file."""
    names = header.tensors
    if any(name.startswith(("control_model.", "controlnet_", "input_hint_block.", "lllite_")) for name in names):
        return CONTROLNET
    prefix = unet_prefix(names)
    if prefix is None:
        parts = ("down_blocks.", "up_blocks.", "mid_block.")
        if any(name.startswith(parts) and ".resnets." in name for name in names):
            return Identity(
                "a part of a UNet in diffusers layout, one file of several",
                remedy="Give the model's folder, which contains model_index.json.",
            )
        return None
    conv_in, label = "input_blocks.0.0.weight", "label_emb.0.0.weight"
    if f"{prefix}{conv_in}" not in names:
        conv_in, label = "conv_in.weight", "add_embedding.linear_1.weight"
        if "encoder_hid_proj.weight" in names:
            return Identity("the UNet of Kolors", remedy="Use an SDXL model.")
    shape = header.shape(f"{prefix}{label}")
    if shape is None:
        return Identity(
            "a UNet of Stable Diffusion 1 or 2, or a part of one in diffusers layout", remedy="Use an SDXL model."
        )
    refused = relative(header.shape(f"{prefix}{conv_in}") or (), shape, "UNet") or _unsampled(header)
    return refused or _alone(lineage_warning(header))


def relative(conv_in: Shape, label: Shape, kind: str) -> Identity | None:
    """A relative of SDXL that cannot be drawn with, by the shapes of two weights of its UNet; None if it is none.

    Args:
        conv_in: of the first convolution, whose inputs are the latents' channels.
        label: of the embedding of the pooled prompt and sizes.
        kind: what has this UNet: “checkpoint”, “UNet” or “folder”.
    """
    channels, width = (conv_in[1] if len(conv_in) == 4 else 0), (label[1] if len(label) == 2 else 0)
    if channels == 8:
        return Identity(
            f"an SDXL {kind} for edits by instruction (InstructPix2Pix, CosXL Edit; 8 input channels)",
            remedy="Use a plain SDXL checkpoint.",
        )
    if width == 5632:
        return Identity(f"a Kolors {kind}, whose text encoder is ChatGLM", remedy="Use an SDXL checkpoint.")
    if width == 2560:
        return Identity(f"the SDXL refiner, a {kind}", remedy="Use an SDXL base checkpoint; the refiner is not needed.")
    if channels != 4:
        return Identity(
            f"an SDXL {kind} for inpainting ({channels} input channels)", remedy="Use a plain SDXL checkpoint."
        )
    return None


def _unsampled(header: Header) -> Identity | None:
    """The identity of a file whose noise schedule cannot be sampled."""
    try:
        of_file(header, {})
    except BrokenModel as error:
        return Identity(f"an SDXL-like checkpoint that cannot be drawn with: {error.message}", remedy=error.hint)
    return None


def _alone(warning: str) -> Identity:
    return Identity(
        "the UNet of an SDXL model, without text encoders and VAE",
        Use.UNET,
        "Give a complete checkpoint too: layerfusion models add NAME CHECKPOINT --unet FILE.",
        warning,
    )
