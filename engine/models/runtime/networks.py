"""Adding an artist's networks (LoRA, LoHa, LoKr, DoRA, full changes) to the weights of a loaded model.

Unlike the foreground deltas, they act on all streams; adding them to the weights once makes every step cheaper. Files
on disk are not changed.

The formulas are those of LyCORIS (Yeh et al. 2023, arXiv 2309.14859) and DoRA (Liu et al. 2024, arXiv 2402.09353).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from layerfusion.engine.models.catalog.network_keys import NetworkPlan, Targets, WeightChange, plan_network
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.runtime.state_dict import State, read_state


def add_network(file: Path, strength: float, components: Mapping[str, nn.Module]) -> NetworkPlan:
    """Add a file's weight changes to loaded networks, computed in float32.

    Args:
        file: safetensors file with kohya's, LyCORIS', OneTrainer's, diffusers' or PEFT's keys.
        strength: factor of the weight change; 1 is the strength in training.
        components: the networks “unet”, “text_encoder” and “text_encoder_2”.

    Returns:
        what the file changes, and what of it is left out.

    Raises:
        BrokenModel: the file cannot be read, changes nothing in these networks, or does not fit.
    """
    plan = plan_network(read_header(file), targets_of(components))
    state = read_state(file)
    for change in plan.changes:
        _apply(change, state, strength, components[change.component].get_submodule(change.module))
    return plan


def targets_of(components: Mapping[str, nn.Module]) -> Targets:
    """The parameters of networks: component -> parameter name -> shape."""
    return {
        component: {name: tuple(value.shape) for name, value in network.named_parameters()}
        for component, network in components.items()
    }


def _apply(change: WeightChange, state: State, strength: float, module: nn.Module) -> None:
    parts = {part: state[key].float() for part, key in change.parts.items()}
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    new = _changed_weight(change, parts, weight.float(), strength)
    # New tensors are made because the old ones may be memory-mapped views of a file.
    module.weight = nn.Parameter(new.to(weight.dtype), requires_grad=False)
    delta = parts.get("diff_b", parts.get("up_bias"))
    if delta is not None and isinstance(bias, Tensor):
        factor = strength if "diff_b" in parts else strength * _factor(change, parts)
        module.bias = nn.Parameter((bias.float() + factor * delta.to(bias.device)).to(bias.dtype), requires_grad=False)


def _changed_weight(change: WeightChange, parts: Mapping[str, Tensor], weight: Tensor, strength: float) -> Tensor:
    """The weight after the change, float32. DoRA's direction is that of W + ΔW, and its length the magnitudes; other
    strengths than 1 lie on the line between the old and the new weight."""
    if change.kind == "full":
        return weight + strength * parts["diff"].to(weight.device) if "diff" in parts else weight
    delta = (_product(parts) * _factor(change, parts)).reshape(weight.shape).to(weight.device)
    magnitudes = parts.get("magnitude", parts.get("dora_scale"))
    if magnitudes is None:
        return weight + strength * delta
    changed = weight + delta
    per_output = "magnitude" in parts or magnitudes.shape[0] == weight.shape[0]
    kept = 0 if per_output else 1
    lengths = torch.linalg.vector_norm(changed, dim=[d for d in range(weight.ndim) if d != kept], keepdim=True)
    scale = magnitudes.to(weight.device).reshape(lengths.shape) / lengths.clamp_min(torch.finfo(torch.float32).tiny)
    return weight + strength * (changed * scale - weight)


def _factor(change: WeightChange, parts: Mapping[str, Tensor]) -> float:
    """alpha / rank; the configuration's factor if there is no alpha; 1 for a LoKr of two whole factors."""
    if "alpha" not in parts:
        return change.factor
    if change.kind == "LoKr" and not any(part.endswith("_b") for part in parts):
        return 1.0
    rank = next(len(parts[p]) for p in ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b") if p in parts)
    return float(parts["alpha"]) / rank


def _product(parts: Mapping[str, Tensor]) -> Tensor:
    """ΔW before its factor; two-dimensional, or with the kernel's dimensions."""
    if "hada_w1_a" in parts:
        return _tucker(parts, "hada_w1", "hada_t1") * _tucker(parts, "hada_w2", "hada_t2")
    if "up" in parts:
        up, down = parts["up"].flatten(1), parts["down"]
        return up @ down.flatten(1) if "mid" not in parts else _rebuilt(parts["mid"], up.T, down.flatten(1))
    first, second = _tucker(parts, "lokr_w1", ""), _tucker(parts, "lokr_w2", "lokr_t2")
    while first.ndim < second.ndim:
        first = first.unsqueeze(-1)
    return torch.kron(first, second.contiguous())


def _tucker(parts: Mapping[str, Tensor], name: str, core: str) -> Tensor:
    """One factor of a LoHa or LoKr: whole, as the product of two matrices, or with a core for convolutions."""
    if name in parts:
        return parts[name]
    a, b = parts[f"{name}_a"], parts[f"{name}_b"]
    return _rebuilt(parts[core], a, b) if core in parts else a @ b.flatten(1)


def _rebuilt(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The weight of a convolution in Tucker form: core (r, s, h, w), a (r, outputs), b (s, inputs)."""
    return torch.einsum("rshw,ro,si->oihw", core, a, b)
