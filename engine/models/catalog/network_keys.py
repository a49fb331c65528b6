"""The key schemes of added networks (LoRA and its relatives), mapped to the modules of SDXL's networks.

Only names and shapes are used, so that a file can be checked without its weights. `engine.models.runtime.networks`
computes the weight changes.

| kind | parts of a module |
|---|---|
| LoRA, LoCon | `up`, `down`, `mid` (a convolution's kernel), `up_bias` |
| LoHa | `hada_w1_a`, `hada_w1_b`, `hada_w2_a`, `hada_w2_b`, `hada_t1`, `hada_t2` |
| LoKr | `lokr_w1`, or `lokr_w1_a` and `lokr_w1_b`; `lokr_w2`, or `lokr_w2_a`, `lokr_w2_b` and `lokr_t2` |
| full | `diff`, `diff_b`: the weight change itself; also of norms |

Each may have an `alpha`, and any but the last a `dora_scale` (DoRA).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.families import other_family
from layerfusion.engine.models.catalog.network_strength import read_strengths
from layerfusion.engine.models.catalog.safetensors_header import Header
from layerfusion.engine.transparency.key_names import ldm_name

Shape = tuple[int, ...]
Targets = Mapping[str, Mapping[str, Shape]]
"""Component (“unet”, “text_encoder”, “text_encoder_2”) -> parameter name -> shape."""

_PREFIXES = {
    "unet": ("lora_unet_", "unet.", "diffusion_model.", ""),
    "text_encoder": ("lora_te1_", "text_encoder.", "text_encoders.clip_l.transformer."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2.", "text_encoders.clip_g.transformer."),
}

_LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2")
_LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
_ENDINGS = {
    "lora_up.weight": "up",
    "lora_down.weight": "down",
    "lora_mid.weight": "mid",
    "lora_B.weight": "up",
    "lora_A.weight": "down",
    "lora_B.bias": "up_bias",
    "lora_linear_layer.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora.up.weight": "up",
    "lora.down.weight": "down",
    "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector": "magnitude",
    "dora_scale": "dora_scale",
    "alpha": "alpha",
    "diff": "diff",
    "diff_b": "diff_b",
    "w_norm": "diff",
    "b_norm": "diff_b",
    **{name: name for name in (*_LOHA, *_LOKR)},
}
"""The end of a key -> the part of its module."""

_UNSUPPORTED = {
    "oft_": "OFT",
    "boft": "BOFT",
    ".a1.weight": "GLoRA",
    ".on_input": "IA³",
    "lora_controlnet": "ControlNet",
}
"""Kinds that are not read, by a part of their keys."""

_PROCESSOR = re.compile(r"\.processor\.(to_q|to_k|to_v|to_out)_lora\.(up|down)\.weight$")
"""Keys of attention LoRAs that diffusers wrote before version 0.17."""

_EMBEDDING = re.compile(r"bundle_emb\.(?P<name>.+)\.(?P<encoder>clip_l|clip_g|string_to_param\.\*)")
"""Textual inversions that trainers put into a LoRA's file."""


@dataclass(frozen=True)
class WeightChange:
    """What a file changes in one module.

    Attributes:
        component: the network.
        module: the module's name in it.
        parts: the part -> its key in the file, see the table above.
        factor: the factor of the change if there is no `alpha`.
    """

    component: str
    module: str
    parts: Mapping[str, str]
    factor: float = 1.0

    @property
    def kind(self) -> str:
        """“LoRA”, “LoHa”, “LoKr” or “full”, with “DoRA” instead of the first if it has magnitudes."""
        if "hada_w1_a" in self.parts:
            return "LoHa"
        if any(part.startswith("lokr_") for part in self.parts):
            return "LoKr"
        if "diff" in self.parts or "diff_b" in self.parts:
            return "full"
        return "DoRA" if {"dora_scale", "magnitude"} & self.parts.keys() else "LoRA"


@dataclass(frozen=True)
class NetworkPlan:
    """What a file changes, and what of it cannot be used.

    Attributes:
        changes: one per module.
        left_out: keys that no module of SDXL answers to, or of a kind that is not read.
        embeddings: name -> “clip_l” and “clip_g” -> key, for textual inversions in the file.
    """

    changes: tuple[WeightChange, ...]
    left_out: tuple[str, ...] = ()
    embeddings: Mapping[str, Mapping[str, str]] | None = None

    @property
    def kinds(self) -> str:
        """The kinds of change in words, most frequent first, such as “LoRA and full”."""
        return " and ".join(kind for kind, _ in Counter(change.kind for change in self.changes).most_common())


def plan_network(header: Header, targets: Targets) -> NetworkPlan:
    """Group a file's tensors by the module that they change, and check their shapes.

    Args:
        header: the file's names, shapes and metadata.
        targets: the parameters of the networks.

    Raises:
        BrokenModel: the file changes nothing in these networks, or a module's parts are incomplete or do not fit.
    """
    table, strengths = _modules(targets), read_strengths(header)
    groups: dict[tuple[str, str], dict[str, str]] = {}
    left_out: list[str] = []
    embeddings: dict[str, dict[str, str]] = {}
    for key in header.tensors:
        bundled = _EMBEDDING.fullmatch(key)
        found = None if bundled else _parse(key, table)
        if bundled:
            embeddings.setdefault(bundled["name"], {})[bundled["encoder"]] = key
        elif found is None:
            left_out.append(key)
        else:
            groups.setdefault(found[0], {})[found[1]] = key
    if not groups:
        raise _foreign(header)
    changes = []
    for (component, module), parts in groups.items():
        shapes = {part: header.tensors[key].shape for part, key in parts.items()}
        _check_shapes(header, component, module, shapes, targets[component])
        rank = _rank(shapes)
        changes.append(WeightChange(component, module, parts, strengths.factor(component, module, rank)))
    return NetworkPlan(tuple(changes), tuple(left_out), embeddings or None)


def _modules(targets: Targets) -> dict[str, tuple[str, str]]:
    """Every name that a file may use for a module -> (component, module name)."""
    table: dict[str, tuple[str, str]] = {}
    for component, parameters in targets.items():
        for module in {name.rpartition(".")[0] for name in parameters}:
            spellings = {module, ldm_name(module) or module} if component == "unet" else _text_spellings(module)
            for spelling in spellings:
                for prefix in _PREFIXES[component]:
                    written = spelling.replace(".", "_") if prefix.startswith("lora_") else spelling
                    table.setdefault(prefix + written, (component, module))
    return table


def _text_spellings(name: str) -> set[str]:
    bare = name.removeprefix("text_model.")
    return {bare, f"text_model.{bare}"}


def _parse(key: str, table: Mapping[str, tuple[str, str]]) -> tuple[tuple[str, str], str] | None:
    """The module that a key changes, and the part; None if the key is not understood."""
    old = _PROCESSOR.search(key)
    if old is not None:
        projection = "to_out.0" if old[1] == "to_out" else old[1]
        target = table.get(f"{key[: old.start()]}.{projection}")
        return None if target is None else (target, old[2])
    plain = key.removeprefix("base_model.model.").replace(".default.", ".").removesuffix(".default")
    for ending, part in _ENDINGS.items():
        stem = plain.removesuffix(f".{ending}")
        if stem != plain and stem in table:
            return table[stem], part
    return None


def _foreign(header: Header) -> BrokenModel:
    """The error for a file that changes nothing in SDXL; it says what the file probably is."""
    file, names = header.file, header.tensors
    if not names:
        return BrokenModel(f"{file} is empty.", "Fetch it again.")
    family = other_family(names)
    if family is not None:
        return BrokenModel(f"{file} is a LoRA for {family}.", "Use a LoRA made for SDXL.")
    if is_for_sd1(header):
        return BrokenModel(f"{file} is a LoRA for Stable Diffusion 1 or 2.", "Use a LoRA made for SDXL.")
    kind = unsupported_kind(header)
    if kind is not None:
        return BrokenModel(
            f"{file} is of the kind {kind}, which is not supported.",
            "Use its LoRA version, or merge it into a checkpoint with another program.",
        )
    return BrokenModel(
        f"{file} changes “{next(iter(names))}”, which this model does not have.",
        f"Run “layerfusion models check {file}” to see what the file is.",
    )


def unsupported_kind(header: Header) -> str | None:
    """The kind of added network that a file holds if that kind cannot be read; else None."""
    return next((kind for mark, kind in _UNSUPPORTED.items() if any(mark in name for name in header.tensors)), None)


def is_for_sd1(header: Header) -> bool:
    """Whether a LoRA changes Stable Diffusion 1 or 2: its text encoder's name, or the width of its prompts."""
    return any(
        name.startswith("lora_te_")
        or (
            re.search(r"attn2[._](to_k|processor\.to_k|to_v)", name) is not None
            and re.search("down|lora_A", name) is not None
            and len(tensor.shape) == 2
            and tensor.shape[1] in (768, 1024)
        )
        for name, tensor in header.tensors.items()
    )


# ---- shapes ----------------------------------------------------------------------------------------------------------


def _check_shapes(
    header: Header, component: str, module: str, parts: Mapping[str, Shape], parameters: Mapping[str, Shape]
) -> None:
    """Raise `BrokenModel` unless the parts are complete and their product has the shape of the module's weight."""
    weight, bias = parameters.get(f"{module}.weight"), parameters.get(f"{module}.bias")
    fits = weight is not None
    if fits and ({"diff", "diff_b"} & parts.keys()):
        fits = parts.get("diff", weight) == weight and parts.get("diff_b", bias) == bias
    elif fits and weight is not None:
        fits = len(weight) > 1 and _product(parts) == (weight[0], math.prod(weight[1:])) and _dora_fits(parts, weight)
        fits = fits and ("up_bias" not in parts or parts["up_bias"] == bias)
    if fits and math.prod(parts.get("alpha", ())) == 1:
        return
    shapes = ", ".join(f"{part} {shape}" for part, shape in sorted(parts.items()))
    raise BrokenModel(
        f"{header.file} does not fit “{module}” of the {component}: it has {shapes}, but the model's weight has shape "
        f"{weight}.",
        "Use a LoRA made for SDXL.",
    )


def _product(parts: Mapping[str, Shape]) -> tuple[int, int] | None:
    """The shape of the weight change, (outputs, inputs · kernel); None if a part is missing or does not fit."""
    if "hada_w1_a" in parts:
        return _loha_shape(parts)
    if any(part.startswith("lokr_") for part in parts):
        return _lokr_shape(parts)
    up, down, mid = parts.get("up"), parts.get("down"), parts.get("mid")
    if up is None or down is None or len(up) < 2 or len(down) < 2 or math.prod(up[2:]) != 1:
        return None
    if mid is None:
        return (up[0], math.prod(down[1:])) if up[1] == down[0] else None
    tied = len(mid) == 4 and mid[:2] == (up[1], down[0]) and math.prod(down[2:]) == 1
    return (up[0], down[1] * math.prod(mid[2:])) if tied else None


def _loha_shape(parts: Mapping[str, Shape]) -> tuple[int, int] | None:
    factors = [parts.get(name, ()) for name in _LOHA[:4]]
    if any(len(shape) != 2 for shape in factors):
        return None
    a1, b1, a2, b2 = factors
    cores = [parts[name] for name in _LOHA[4:] if name in parts]
    if not cores:
        tied = a1[1] == b1[0] and a2[1] == b2[0] and (a1[0], b1[1]) == (a2[0], b2[1])
        return (a1[0], b1[1]) if tied else None
    # Tucker form: the cores are (rank, rank, kernel), and a is (rank, outputs).
    if len(cores) != 2 or any(len(core) != 4 for core in cores) or cores[0][2:] != cores[1][2:]:
        return None
    tied = all((core[0], core[1]) == (a[0], b[0]) for core, a, b in zip(cores, (a1, a2), (b1, b2), strict=True)) and (
        a1[1],
        b1[1],
    ) == (a2[1], b2[1])
    return (a1[1], b1[1] * math.prod(cores[0][2:])) if tied else None


def _lokr_shape(parts: Mapping[str, Shape]) -> tuple[int, int] | None:
    first = _lokr_factor(parts, "lokr_w1", None)
    second = _lokr_factor(parts, "lokr_w2", parts.get("lokr_t2"))
    if first is None or second is None:
        return None
    return first[0] * second[0], first[1] * second[1]


def _lokr_factor(parts: Mapping[str, Shape], name: str, core: Shape | None) -> tuple[int, int] | None:
    whole, a, b = parts.get(name), parts.get(f"{name}_a"), parts.get(f"{name}_b")
    if whole is not None:
        return (whole[0], math.prod(whole[1:])) if len(whole) >= 2 else None
    if a is None or b is None or len(a) != 2 or len(b) < 2:
        return None
    if core is None:
        return (a[0], math.prod(b[1:])) if a[1] == b[0] else None
    tied = len(core) == 4 and core[:2] == (a[0], b[0]) and len(b) == 2
    return (a[1], b[1] * math.prod(core[2:])) if tied else None


def _dora_fits(parts: Mapping[str, Shape], weight: Shape) -> bool:
    """Whether the magnitudes are one per output, or one per input."""
    if "magnitude" in parts:
        return math.prod(parts["magnitude"]) == weight[0]
    scale = parts.get("dora_scale")
    if scale is None:
        return True
    per_output = math.prod(scale) == weight[0] and scale[0] == weight[0]
    return per_output or (len(scale) > 1 and scale[0] == 1 and math.prod(scale) == scale[1] == weight[1])


def _rank(parts: Mapping[str, Shape]) -> int:
    """The rank of a module's matrices; 1 if it has none."""
    for part in ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b"):
        if parts.get(part):
            return max(parts[part][0], 1)
    return 1
