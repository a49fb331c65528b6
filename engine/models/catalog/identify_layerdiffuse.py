"""Identification of LayerDiffuse's files: its transparent networks, and its weight changes of the UNet."""

from __future__ import annotations

import re
from pathlib import Path

from layerfusion.engine.models.catalog.identity import Identity, Use
from layerfusion.engine.models.catalog.published import digest_of, published
from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.transparency.key_names import diffusers_name

ATTN_FILE = "layer_xl_transparent_attn.safetensors"
REPOSITORY = "LayerDiffusion/layerdiffusion-v1"


def transparent_networks(header: Header) -> Identity | None:
    """A transparent encoder or decoder; None for any other file."""
    shape = header.shape
    if shape("latent_conv_in.weight") is not None and shape("conv_in.weight") is not None:
        return _transparent_network(header, Use.DECODER)
    if shape("blocks.0.weight") == (32, 4, 3, 3) and shape("blocks.16.weight") == (4, 256, 3, 3):
        return _transparent_network(header, Use.ENCODER)
    if any(name.startswith("hookers.") for name in header.tensors):
        return Identity("a LayerDiffuse model for Stable Diffusion 1.5", remedy=_instead())
    return None


def _transparent_network(header: Header, use: Use) -> Identity:
    """A transparent encoder or decoder. That for Stable Diffusion 1.5 has the same tensors and other bytes."""
    digest = digest_of(header.file)
    known = published(digest)
    name = f"vae_{use.value.replace(' ', '_')}.safetensors"
    what = f"LayerDiffuse's {use.value}"
    if known is not None and known.base != "SDXL":
        return Identity(
            f"{what} for {known.base}", remedy=f"Use {name} from {REPOSITORY}.", published=known, digest=digest
        )
    if known is not None:
        return Identity(f"{what} for SDXL, the published file", use, published=known, digest=digest)
    suspicion = " Its name says that it is not." if names_sd15(header.file) else ""
    return Identity(
        what,
        use,
        warning=f"It is not the published {name}, and the one for Stable Diffusion 1.5 has the same tensors: "
        f"make sure that it is for SDXL.{suspicion}",
        digest=digest,
    )


def names_sd15(file: Path) -> bool:
    """Whether a file's name says that it is for Stable Diffusion 1.5, as those of LayerDiffuse's files do."""
    return re.search(r"sd[-_ ]?v?1", file.name.casefold()) is not None


_ATTENTION = re.compile(r".+\.transformer_blocks\.\d+\.attn[12]\.(to_q|to_k|to_v|to_out\.0)\.weight")


def transparent_weights(header: Header) -> Identity | None:
    """LayerDiffuse's weight changes of the UNet: Forge's or kohya's keys, or dense offsets in diffusers' names."""
    names = list(header.tensors)
    if any("::" in name for name in names):
        return _forge_weights(header)
    if _is_whole_attention(names):
        return Identity("LayerDiffuse's transparent foreground deltas, as a kohya LoRA", Use.DELTAS)
    dense = [name for name in names if not name.startswith(("model.", "first_stage_model.", "lora_"))]
    if len(dense) != len(names) or not any("transformer_blocks" in name or "resnets" in name for name in names):
        return None
    if all(_ATTENTION.fullmatch(name) for name in names):
        return Identity("LayerDiffuse's transparent foreground deltas, as dense offsets", Use.DELTAS)
    return _partial_unet(header)


def _is_whole_attention(names: list[str]) -> bool:
    """Whether the keys are kohya's for all four projections of some attention modules, without alphas, and no others.

    The published LayerDiffuse file has exactly these keys. LoRAs from trainers have alphas and hardly ever exactly this
    selection.
    """
    modules: dict[str, set[str]] = {}
    for name in names:
        match = re.fullmatch(r"lora_unet_(.+_attn[12])_(to_q|to_k|to_v|to_out_0)\.lora_(up|down)\.weight", name)
        if match is None:
            return False
        modules.setdefault(match[1], set()).add(f"{match[2]} {match[3]}")
    return bool(modules) and all(len(parts) == 8 for parts in modules.values())


def _forge_weights(header: Header) -> Identity:
    targets, kinds = set(), set()
    for name in header.tensors:
        path, kind = (*name.split("::"), "")[:2]
        bare = path.removeprefix("model.").removeprefix("diffusion_model.")
        targets.add(diffusers_name(bare) or path)
        kinds.add(kind)
    if kinds == {"lora"} and all(_ATTENTION.fullmatch(target) for target in targets):
        if not any(re.search(r"blocks\.\d+\.attentions\.\d+\.transformer_blocks\.[1-9]", name) for name in targets):
            return Identity("LayerDiffuse's transparent foreground deltas for another model", remedy=_instead())
        return Identity("LayerDiffuse's transparent foreground deltas, with Forge's keys", Use.DELTAS)
    first = next((t.shape for name, t in header.tensors.items() if "input_blocks.0.0.weight" in name), None)
    return _other_layerdiffuse(len(targets), first)


def _partial_unet(header: Header) -> Identity | None:
    """Dense offsets of more than the attention projections: the `conv` variant and the conditional models."""
    names = set(header.tensors)
    if {"time_embedding.linear_1.weight", "encoder.conv_in.weight"} & names or "conv_in.weight" not in names:
        return None
    return _other_layerdiffuse(len(names), header.shape("conv_in.weight"))


def _other_layerdiffuse(count: int, conv_in: tuple[int, ...] | None) -> Identity:
    channels = conv_in[1] if conv_in is not None and len(conv_in) == 4 else 4
    if channels > 4:
        given = "the background or foreground" if channels == 8 else "one layer and the blended picture"
        return Identity(
            f"a LayerDiffuse model conditioned on {given} ({count} dense offsets, {channels} input channels)",
            remedy="LayerFusion needs no such model: it draws all layers together, or the others around a kept layer. "
            + _instead(),
        )
    return Identity(
        f"the “conv” variant of LayerDiffuse's transparent foregrounds ({count} dense offsets)",
        remedy="It also changes convolutions; LayerFusion can apply changes of the attention projections only. "
        + _instead(),
    )


def _instead() -> str:
    return f"Use {ATTN_FILE} from {REPOSITORY}."
