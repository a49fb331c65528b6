"""Weights in eight bits with scales, as ComfyUI writes them, by the names, dtypes and shapes of a file's tensors.

| tensor | meaning |
|---|---|
| `….scale_weight`, newer `….weight_scale` | the weight is the float8 tensor times this: one value, or one per output |
| `….scale_input`, newer `….input_scale` | a scale for computing in eight bits, which LayerFusion does not |
| `scaled_fp8`, `….comfy_quant` | say that a file or a weight has scales |

Weights in other compressed forms (bitsandbytes, int8, NVFP4, SVDQuant, GPTQ) are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.safetensors_header import Header, TensorInfo

_SCALES = (".scale_weight", ".weight_scale")
_BESIDE = (".scale_input", ".input_scale", ".comfy_quant")
_MARKER = "scaled_fp8"

_EIGHT_BITS = ("F8_E4M3", "F8_E5M2")
_FLOATS = ("F64", "F32", "F16", "BF16", *_EIGHT_BITS)

_OTHER = re.compile(
    r"(?P<bitsandbytes>\.quant_state\.|\.absmax$|\.quant_map$|\.SCB$)"
    r"|(?P<SVDQuant>\.wscales$|\.wcscales$)"
    r"|(?P<GPTQ>\.qzeros$|\.qweight$)"
    r"|(?P<NVFP4>\.weight_scale_2$)"
)
"""Names that only other forms have."""


def is_beside(name: str) -> bool:
    """Whether a tensor is a scale or a marker of quantised weights, and no weight itself."""
    return name.endswith((*_SCALES, *_BESIDE)) or name.rpartition(".")[2] == _MARKER


def scales(names: Collection[str]) -> dict[str, str]:
    """The weights that have a scale: weight -> the scale's name."""
    return {
        f"{name.removesuffix(ending)}.weight": name for name in names for ending in _SCALES if name.endswith(ending)
    }


def without_scales(header: Header) -> Header:
    """A header as if the weights were stored without scales.

    Raises:
        BrokenModel: the weights are compressed in a form that is not read; the message names it.
    """
    tensors = header.tensors
    for name in tensors:
        other = _OTHER.search(name)
        if other is not None:
            raise _refused(header, f"by {other.lastgroup}", name)
    for weight, scale in scales(tensors).items():
        if not _fits(tensors, weight, scale):
            raise _refused(header, "in a form that is not known here", scale)
    for name, tensor in tensors.items():
        if name.endswith((".weight", ".bias")) and tensor.dtype not in _FLOATS:
            raise _refused(header, f"as {tensor.dtype}", name)
    return replace(header, tensors={name: tensor for name, tensor in tensors.items() if not is_beside(name)})


def _fits(tensors: Mapping[str, TensorInfo], weight: str, scale: str) -> bool:
    stored, factor = tensors.get(weight), tensors[scale]
    if stored is None or stored.dtype not in _EIGHT_BITS or factor.dtype not in _FLOATS:
        return False
    return all(side == 1 for side in factor.shape) or (
        bool(stored.shape) and factor.shape[0] == stored.shape[0] and all(side == 1 for side in factor.shape[1:])
    )


def _refused(header: Header, how: str, name: str) -> BrokenModel:
    return BrokenModel(
        f"The weights of {header.file} are compressed {how} (first: {name}).",
        "Use the model's version in float16 or float8.",
    )
