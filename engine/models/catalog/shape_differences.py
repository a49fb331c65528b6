"""Comparison of the tensors that a network has with those that it must have, in words."""

from __future__ import annotations

from collections.abc import Mapping

Shape = tuple[int, ...]

_MANY = 100
"""Missing tensors from which whole blocks are missing."""


def differences(network: str, expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> list[str]:
    """One sentence for missing tensors, one for unknown ones, and one for other shapes; empty if there are none.

    Args:
        network: the network in words, at the beginning of a sentence.
        expected: tensor -> shape, as the network has them.
        found: the same of a file.
    """
    sentences = []
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing:
        sentences.append(f"{network} lacks {len(missing)} of {len(expected)} tensors (first: {missing[0]}).")
    if unknown:
        sentences.append(f"{network} has {len(unknown)} unknown tensors (first: {unknown[0]}).")
    other = [name for name in expected if name in found and tuple(found[name]) != tuple(expected[name])]
    if other:
        name = other[0]
        sentences.append(
            f"{network} has {len(other)} tensors with a wrong shape: “{name}” has shape {tuple(found[name])}; "
            f"the expected shape is {tuple(expected[name])}."
        )
    if len(missing) > _MANY and not (unknown or other) and network.startswith("The UNet"):
        sentences.insert(
            0,
            "Distilled models with fewer blocks, such as SSD-1B, Segmind Vega and KOALA, cannot be used: LayerDiffuse "
            "has no weights for them.",
        )
    return sentences


_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def modern_attention(name: str) -> str:
    """The name that a VAE's tensor has today, if diffusers before version 0.12 saved it under an older one."""
    parts = name.split(".")
    if len(parts) > 2 and "attentions" in parts and parts[-2] in _OLD_ATTENTION:
        parts[-2] = _OLD_ATTENTION[parts[-2]]
    return ".".join(parts)


def unified_vae(tensors: Mapping[str, Shape]) -> dict[str, Shape]:
    """A VAE's tensors without those of its training, with today's names, and with the attention's 1x1 convolutions as
    matrices: older files have one or the other."""
    return {
        modern_attention(name): shape[:2] if "attn_1" in name and shape[2:] == (1, 1) else shape
        for name, shape in tensors.items()
        if not name.startswith("loss.") and ".loss." not in name
    }
