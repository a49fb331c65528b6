"""Whether a file or folder has exactly the tensors that SDXL's networks have, by names and shapes, without its weights.

`layerfusion models check` prints the result; adding and loading a model refuse what does not fit by the same test.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog import sdxl_shapes
from layerfusion.engine.models.catalog.folder_compatibility import folder_mismatches
from layerfusion.engine.models.catalog.identify import INVERSION_KEYS
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.model_files import UNET_PREFIX, unet_prefix
from layerfusion.engine.models.catalog.network_keys import plan_network
from layerfusion.engine.models.catalog.quantisation import without_scales
from layerfusion.engine.models.catalog.safetensors_header import Header, read_header
from layerfusion.engine.models.catalog.sdxl_shapes import Network, Shapes
from layerfusion.engine.models.catalog.shape_differences import differences, unified_vae
from layerfusion.engine.transparency.delta_keys import PROJECTIONS, parts_by_target

VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "conditioner.embedders.0.transformer."
TEXT_2_PREFIX = "conditioner.embedders.1.model."

_CHECKPOINT: dict[Network, tuple[str, str]] = {
    "unet": ("The UNet", UNET_PREFIX),
    "vae": ("The VAE", VAE_PREFIX),
    "text_encoder": ("The first text encoder", TEXT_PREFIX),
    "text_encoder_2": ("The second text encoder", TEXT_2_PREFIX),
}
"""The networks of a single-file checkpoint, in words, and the prefixes of their tensors."""

_UNUSED = ("position_ids", "logit_scale")
"""Ends of the names of tensors that text encoders carry and that nothing reads."""

_MARKERS = ("v_pred", "ztsnr", "edm_")
"""Beginnings of the names of tensors that describe the noise schedule."""


def faults(path: Path, use: Use, elsewhere: Collection[Network] = ()) -> list[str]:
    """Say why a file or a folder in diffusers layout cannot serve as a given part of an SDXL model.

    Args:
        path: the file or folder.
        use: the part it is to be.
        elsewhere: networks of a checkpoint that are taken from other files, and need not be in this one.

    Returns:
        One sentence per kind of mismatch; empty if it fits.
    """
    try:
        if path.is_dir():
            return folder_mismatches(path, use, elsewhere)
        return mismatches(read_header(path), use, elsewhere)
    except BrokenModel as error:
        return [str(error)]


def mismatches(header: Header, use: Use, elsewhere: Collection[Network] = ()) -> list[str]:
    """`faults` for a file whose header was read."""
    try:
        plain = without_scales(header)
        if use is Use.CHECKPOINT:
            return [
                sentence
                for network, (title, prefix) in _CHECKPOINT.items()
                if network not in elsewhere
                for sentence in _part_of_checkpoint(plain, title, prefix)
            ]
        if use is Use.UNET:
            return _unet(plain)
        if use is Use.VAE:
            return _vae(plain)
        if use is Use.ENCODER:
            return differences("The transparent encoder", sdxl_shapes.shapes("transparent_encoder"), _found(plain))
        if use is Use.DECODER:
            return differences("The transparent decoder", sdxl_shapes.shapes("transparent_decoder"), _found(plain))
        if use is Use.INVERSION:
            return _inversion(plain)
        if use is Use.DELTAS:
            return _deltas(header)
        plan_network(header, _targets())
    except BrokenModel as error:
        return [str(error)]
    return []


def _found(header: Header, prefix: str = "") -> Shapes:
    return {
        name.removeprefix(prefix): tensor.shape for name, tensor in header.tensors.items() if name.startswith(prefix)
    }


def _part_of_checkpoint(header: Header, title: str, prefix: str) -> list[str]:
    found = {name: shape for name, shape in _found(header, prefix).items() if not name.endswith(_UNUSED)}
    if not found:
        return [f"{title} is not in it."]
    expected = sdxl_shapes.single_file(prefix)
    if prefix == VAE_PREFIX:
        found, expected = unified_vae(found), unified_vae(expected)
    return differences(title, expected, found)


def _unet(header: Header) -> list[str]:
    prefix = unet_prefix(header.tensors)
    if prefix is None:
        return ["The UNet is not in it."]
    found = {name: shape for name, shape in _found(header, prefix).items() if not name.startswith(_MARKERS)}
    diffusers = "conv_in.weight" in found
    expected = sdxl_shapes.shapes("unet") if diffusers else sdxl_shapes.single_file(UNET_PREFIX)
    return differences("The UNet", expected, found)


def _vae(header: Header) -> list[str]:
    found = _found(header, VAE_PREFIX) or _found(header)
    diffusers = any("down_blocks" in name for name in found)
    expected = sdxl_shapes.shapes("vae") if diffusers else sdxl_shapes.single_file(VAE_PREFIX)
    return differences("The VAE", unified_vae(expected), unified_vae(found))


def _inversion(header: Header) -> list[str]:
    keys = next((pair for pair in INVERSION_KEYS if set(pair) <= header.tensors.keys()), None)
    if keys is None:
        return ["It has no vectors for both text encoders."]
    pair = [header.tensors[key].shape for key in keys]
    widths = [sdxl_shapes.shapes(name)["final_layer_norm.weight"][0] for name in ("text_encoder", "text_encoder_2")]
    if [shape[-1:] for shape in pair] == [(width,) for width in widths] and pair[0][:-1] == pair[1][:-1]:
        return []
    return [
        f"Its vectors have shapes {pair[0]} and {pair[1]}; SDXL needs as many of {widths[0]} and {widths[1]} values."
    ]


def _deltas(header: Header) -> list[str]:
    sizes = {
        name.removesuffix(".weight"): shape
        for name, shape in sdxl_shapes.shapes("unet").items()
        if name.endswith(tuple(f".{projection}.weight" for projection in PROJECTIONS)) and ".attn" in name
    }
    sentences = []
    found = parts_by_target(header.tensors, sizes, str(header.file))
    for target, halves in found.items():
        shapes = {half: header.tensors[key].shape for half, key in halves.items()}
        size = _delta_size(shapes)
        if size != sizes[target]:
            sentences.append(f"“{target}” has shape {size}; the expected shape is {sizes[target]}.")
    missing = sorted(sizes.keys() - found.keys())
    if missing:
        sentences.append(f"{len(missing)} of {len(sizes)} projections are missing (first: {missing[0]}).")
    return sentences[:3]


def _delta_size(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """The shape of a weight change; None if its parts are incomplete or do not fit each other."""
    if set(shapes) == {"dense"}:
        return shapes["dense"]
    up, down = shapes.get("up", ()), shapes.get("down", ())
    if not {"up", "down"} <= set(shapes) <= {"up", "down", "alpha"} or len(up) != 2 or len(down) != 2:
        return None
    return (up[0], down[1]) if up[1] == down[0] else None


def _targets() -> dict[str, Shapes]:
    return {
        "unet": sdxl_shapes.shapes("unet"),
        "text_encoder": sdxl_shapes.shapes("text_encoder"),
        "text_encoder_2": sdxl_shapes.shapes("text_encoder_2"),
    }
