"""Whether a folder in diffusers layout holds SDXL's networks, whatever precisions and shards they are stored in."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog import sdxl_shapes
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.model_files import CONFIGS, read_json
from layerfusion.engine.models.catalog.model_folders import NETWORKS, weight_files
from layerfusion.engine.models.catalog.quantisation import without_scales
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.catalog.schedules import of_folder
from layerfusion.engine.models.catalog.sdxl_shapes import Network
from layerfusion.engine.models.catalog.shape_differences import differences, unified_vae

_TITLES: dict[str, str] = {
    "unet": "The UNet",
    "vae": "The VAE",
    "text_encoder": "The first text encoder",
    "text_encoder_2": "The second text encoder",
}

_SETTINGS: dict[str, tuple[str, ...]] = {
    "unet": (
        *("attention_head_dim", "num_attention_heads", "transformer_layers_per_block", "act_fn", "norm_num_groups"),
        *("flip_sin_to_cos", "freq_shift", "addition_embed_type", "addition_time_embed_dim"),
    ),
    "vae": ("act_fn", "norm_num_groups", "latent_channels", "layers_per_block"),
    "text_encoder": ("hidden_act", "num_attention_heads", "num_hidden_layers"),
    "text_encoder_2": ("hidden_act", "num_attention_heads", "num_hidden_layers"),
}
"""Settings of the networks that change what they compute, or how they are built, and that the shapes do not show."""


def folder_mismatches(folder: Path, use: Use, elsewhere: Collection[Network] = ()) -> list[str]:
    """Say why a folder cannot serve as a checkpoint, VAE or UNet; see `compatibility.faults`.

    Raises:
        BrokenModel: a file of it is missing or cannot be read.
    """
    if use is Use.VAE:
        return _network(folder / "vae" if (folder / "vae").is_dir() else folder, "vae")
    if use is Use.UNET:
        return _network(folder / "unet" if (folder / "unet").is_dir() else folder, "unet")
    if use is not Use.CHECKPOINT:
        return ["It is a folder, not a file."]
    sentences = [
        sentence
        for network in NETWORKS
        if network not in elsewhere
        for sentence in _caught(folder / network, cast(Network, network))
    ]
    schedule = folder / "scheduler" / "scheduler_config.json"
    of_folder(read_json(schedule), schedule)
    return sentences + [
        f"The folder {name} lacks the tokenizer's files."
        for name in ("tokenizer", "tokenizer_2")
        if not _is_tokenizer(folder / name)
    ]


def _caught(folder: Path, network: Network) -> list[str]:
    try:
        return _network(folder, network)
    except BrokenModel as error:
        return [str(error)]


def _network(folder: Path, network: Network) -> list[str]:
    """Compare a network's configuration and all weights of it that could be read: in full and in half precision."""
    sentences: list[str] = []
    expected = sdxl_shapes.shapes(network)
    for files in {tuple(weight_files(folder, half)) for half in (False, True)}:
        found = {
            name.removeprefix("text_model."): tensor.shape
            for file in files
            for name, tensor in without_scales(read_header(file)).tensors.items()
            if not name.endswith("position_ids")
        }
        title = f"{_TITLES[network]} ({files[0].name})"
        sentences += differences(title, expected, unified_vae(found) if network == "vae" else found)
    return list(dict.fromkeys(sentences)) or _other_settings(folder, network)


def _other_settings(folder: Path, network: Network) -> list[str]:
    own, sdxl = read_json(folder / "config.json"), read_json(CONFIGS / network / "config.json")
    return [
        f"{folder / 'config.json'} says {name} {_told(own[name])}; SDXL has {_told(sdxl[name])}."
        for name in _SETTINGS[network]
        if own.get(name) is not None and sdxl.get(name) is not None and own[name] != sdxl[name]
    ]


def _told(value: Any) -> str:
    return f"{value!r}" if len(repr(value)) <= 40 else f"{repr(value)[:40]}…"


def _is_tokenizer(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or all(
        (folder / name).is_file() for name in ("vocab.json", "merges.txt")
    )
