"""Identification of a safetensors file from its header: the names, shapes and dtypes of its tensors, not its file name.

Used by `layerfusion models check`, `scan` and `add`.
"""

from __future__ import annotations

import re
from collections import Counter

from layerfusion.engine.models.catalog.families import other_family
from layerfusion.engine.models.catalog.identify_layerdiffuse import transparent_networks, transparent_weights
from layerfusion.engine.models.catalog.identify_unets import checkpoint, unet
from layerfusion.engine.models.catalog.identity import Identity, Use
from layerfusion.engine.models.catalog.network_keys import is_for_sd1, unsupported_kind
from layerfusion.engine.models.catalog.safetensors_header import Header

INVERSION_KEYS = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))
"""Names of a textual inversion's vectors for the first and the second text encoder: kohya's and today's diffusers', and
older diffusers'."""


def identify(header: Header) -> Identity:
    """Identify a file. A file that matches nothing known gets an `Identity` without a use."""
    names = header.tensors.keys()
    for recognise in (
        transparent_networks,
        transparent_weights,
        checkpoint,
        _adapter,
        _vae,
        unet,
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


def _part(header: Header) -> Identity | None:
    """Parts of models and other networks, which cannot be used alone."""
    names = header.tensors
    family = other_family(name.removeprefix("diffusion_model.") for name in names)
    if family is not None:
        return Identity(f"a network of {family}", remedy="Use an SDXL checkpoint.")
    if any(set(pair) <= names.keys() for pair in INVERSION_KEYS):
        remedy = "Put it into the folder “embeddings” and name it in prompts."
        return Identity("a textual inversion for SDXL", Use.INVERSION, remedy)
    if "emb_params" in names:
        return Identity("a textual inversion for Stable Diffusion 1 or 2", remedy="Use one made for SDXL.")
    if any(name.startswith(("image_proj.", "ip_adapter.")) for name in names):
        return Identity("an IP-Adapter", remedy="LayerFusion uses none.")
    if any(".text_model.encoder.layers." in f".{name}" for name in names):
        return Identity("a CLIP text encoder alone", remedy="Use a complete checkpoint.")
    return None
