"""Identification of a safetensors file from its header: the names, shapes and dtypes of its tensors, not its file name.

Used by `layerfusion models check`, `scan` and `add`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.families import other_family
from layerfusion.engine.models.catalog.lineage import lineage_warning
from layerfusion.engine.models.catalog.network_keys import is_for_sd1, unsupported_kind
from layerfusion.engine.models.catalog.published import Published, digest_of, published
from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.models.catalog.schedules import of_file
from layerfusion.engine.transparency.key_names import diffusers_name

ATTN_FILE = "layer_xl_transparent_attn.safetensors"
REPOSITORY = "LayerDiffusion/layerdiffusion-v1"


class Use(Enum):
    """The uses that LayerFusion has for a model file."""

    CHECKPOINT = "checkpoint"
    VAE = "VAE"
    LORA = "LoRA"
    DELTAS = "foreground deltas"
    ENCODER = "transparent encoder"
    DECODER = "transparent decoder"


@dataclass(frozen=True)
class Identity:
    """What a file is.

    Attributes:
        what: a description, for example “SDXL checkpoint, a single file”.
        use: what LayerFusion can use it as; None if it cannot use it.
        remedy: what to use instead, or what to add; empty if nothing needs to be done.
        warning: a known problem with such files; empty if there is none.
        published: the published file that has exactly these bytes; None if none is known. Only LayerDiffuse's
            files are looked up.
        digest: the file's SHA-256 if it was looked up; else empty.
    """

    what: str
    use: Use | None = None
    remedy: str = ""
    warning: str = ""
    published: Published | None = None
    digest: str = ""


def identify(header: Header) -> Identity:
    """Identify a file. A file that matches nothing known gets an `Identity` without a use."""
    names = header.tensors.keys()
    for recognise in (
        _layerdiffuse_networks,
        _transparent_weights,
        _checkpoint,
        _adapter,
        _vae,
        _diffusers_unet,
        _part,
    ):
        found = recognise(header)
        if found is not None:
            return found
    prefixes = Counter(name.split(".")[0] for name in names).most_common(3)
    inside = ", ".join(f"{prefix} ({count})" for prefix, count in prefixes) or "nothing"
    return Identity(
        f"a safetensors file of an unknown kind with {len(names)} tensors: {inside}",
        remedy="Use an SDXL checkpoint, VAE or LoRA, or one of LayerDiffuse's SDXL files.",
    )


def precision(header: Header) -> str:
    """The one or two most frequent dtypes of the tensors, such as “float16 and float32”."""
    titles = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8", "F8_E5M2": "float8"}
    types: Counter[str] = Counter()
    for tensor in header.tensors.values():
        types[titles.get(tensor.dtype, tensor.dtype)] += 1
    return " and ".join(name for name, _ in types.most_common(2))


# ---- LayerDiffuse ----------------------------------------------------------------------------------------------------


def _layerdiffuse_networks(header: Header) -> Identity | None:
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


def _transparent_weights(header: Header) -> Identity | None:
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
        path, kind = name.split("::")[:2]
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


# ---- checkpoints, VAEs and LoRAs -------------------------------------------------------------------------------------

_UNET = "model.diffusion_model."


def _checkpoint(header: Header) -> Identity | None:
    shape = header.shape
    if not any(name.startswith(_UNET) for name in header.tensors):
        return None
    family = other_family(name.removeprefix(_UNET) for name in header.tensors if name.startswith(_UNET))
    if family is not None:
        return Identity(f"a checkpoint of {family}", remedy="Use an SDXL checkpoint.")
    label = shape(f"{_UNET}label_emb.0.0.weight")
    if label is None or shape(f"{_UNET}input_blocks.0.0.weight") is None:
        return Identity(
            "a checkpoint of Stable Diffusion 1 or 2, or of another family", remedy="Use an SDXL checkpoint."
        )
    channels = (shape(f"{_UNET}input_blocks.0.0.weight") or (0, 0))[1]
    if channels == 8:
        return Identity(
            "an SDXL checkpoint for edits by instruction (InstructPix2Pix, CosXL Edit; 8 input channels)",
            remedy="Use a plain SDXL checkpoint.",
        )
    if channels != 4:
        return Identity(
            f"an SDXL checkpoint for inpainting ({channels} input channels)", remedy="Use a plain SDXL checkpoint."
        )
    if label[1] == 5632:
        return Identity("a Kolors checkpoint, whose text encoder is ChatGLM", remedy="Use an SDXL checkpoint.")
    if label[1] == 2560:
        return Identity("the SDXL refiner", remedy="Use an SDXL base checkpoint; the refiner is not needed.")
    try:
        of_file(header, {})
    except BrokenModel as error:
        return Identity(f"an SDXL-like checkpoint that cannot be drawn with: {error.message}", remedy=error.hint)
    missing = [
        part
        for part, name in {
            "VAE": "first_stage_model.decoder.conv_in.weight",
            "first text encoder": "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight",
            "second text encoder": "conditioner.embedders.1.model.ln_final.weight",
        }.items()
        if name not in header.tensors
    ]
    what = "SDXL checkpoint, a single file"
    if missing == ["VAE"]:
        return Identity(f"{what} without a VAE", Use.CHECKPOINT, "Add one with --vae FILE.", lineage_warning(header))
    if missing:
        return Identity(f"{what} without {', '.join(missing)}", remedy="Use a complete checkpoint.")
    return Identity(what, Use.CHECKPOINT, warning=lineage_warning(header))


_ADAPTER = re.compile(r"lora|hada_w|lokr_|oft_|boft|\.diff(_b)?$|\.[wb]_norm$|\.on_input$")
"""Parts of keys that only added networks have."""


def _adapter(header: Header) -> Identity | None:
    names = list(header.tensors)
    if not any(_ADAPTER.search(name) for name in names):
        return None
    family = other_family(names)
    if family is not None:
        return Identity(f"a LoRA for {family}", remedy="Use a LoRA made for SDXL.")
    kind = unsupported_kind(header)
    if kind is not None:
        return Identity(f"a network of the kind {kind}", remedy="Use a LoRA; this kind is not supported.")
    if is_for_sd1(header):
        return Identity("a LoRA for Stable Diffusion 1 or 2", remedy="Use a LoRA made for SDXL.")
    encoders = ", with text encoders" if any(name.startswith(("lora_te", "text_encoder")) for name in names) else ""
    ranks = Counter(
        min(tensor.shape[:2])
        for name, tensor in header.tensors.items()
        if len(tensor.shape) > 1 and re.search("lora_down|lora.down|lora_A|hada_w1_b|lokr_w[12]_b", name)
    ).most_common(1)
    rank = f" of rank {ranks[0][0]}" if ranks else ""
    return Identity(f"SDXL {_adapter_kind(names)}{rank}{encoders}", Use.LORA)


def _adapter_kind(names: list[str]) -> str:
    marks = {"lokr_": "LoKr", "hada_": "LoHa", "dora_scale": "DoRA", "lora_magnitude": "DoRA", "lora": "LoRA"}
    written = [name.replace("lora_unet_", "").replace("lora_te", "") for name in names]
    return next((kind for mark, kind in marks.items() if any(mark in name for name in written)), "weight changes")


def _vae(header: Header) -> Identity | None:
    for prefix in ("", "first_stage_model."):
        shape = header.shape(f"{prefix}decoder.conv_in.weight")
        if shape is not None and header.shape(f"{prefix}encoder.conv_in.weight") is not None:
            if shape[1] != 4:
                return Identity(f"a VAE with {shape[1]} channels, for another family", remedy="Use an SDXL VAE.")
            return Identity(
                "VAE with 4 channels",
                Use.VAE,
                warning="VAEs of SDXL and of Stable Diffusion 1 have the same tensors: make sure that it is for SDXL.",
            )
        if shape is not None:
            return Identity("the decoder of a VAE without its encoder", remedy="Use a complete VAE.")
    return None


def _diffusers_unet(header: Header) -> Identity | None:
    label = header.shape("add_embedding.linear_1.weight")
    if label is None or header.shape("conv_in.weight") is None:
        return None
    if label[-1] == 5632 or header.shape("encoder_hid_proj.weight") is not None:
        return Identity("the UNet of Kolors, in diffusers layout", remedy="Use an SDXL model.")
    if header.shape("controlnet_cond_embedding.conv_in.weight") is not None:
        return _CONTROLNET
    return Identity(
        "the UNet of an SDXL model in diffusers layout, one file of several",
        remedy="Give the model's folder, which contains model_index.json.",
    )


_CONTROLNET = Identity("a ControlNet", remedy="LayerFusion uses none. Use an SDXL checkpoint.")


def _part(header: Header) -> Identity | None:
    """Parts of models and other networks, which cannot be used alone."""
    names = header.tensors
    if any(name.startswith(("control_model.", "controlnet_", "input_hint_block.")) for name in names):
        return _CONTROLNET
    for prefix in ("", "diffusion_model."):
        if f"{prefix}input_blocks.0.0.weight" in names:
            return Identity(
                "a UNet alone, without text encoders and VAE", remedy="Use a complete checkpoint of the same model."
            )
    family = other_family(name.removeprefix("diffusion_model.") for name in names)
    if family is not None:
        return Identity(f"a network of {family}", remedy="Use an SDXL checkpoint.")
    if {"clip_l", "clip_g"} <= names.keys():
        return Identity(
            "a textual inversion for SDXL", remedy="Put it into the folder “embeddings” and name it in prompts."
        )
    if "emb_params" in names:
        return Identity("a textual inversion for Stable Diffusion 1 or 2", remedy="Use one made for SDXL.")
    if any(name.startswith(("image_proj.", "ip_adapter.")) for name in names):
        return Identity("an IP-Adapter", remedy="LayerFusion uses none.")
    if any(".text_model.encoder.layers." in f".{name}" for name in names):
        return Identity("a CLIP text encoder alone", remedy="Use a complete checkpoint.")
    return None
