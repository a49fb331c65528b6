"""The strength with which an added network was trained, from the metadata of its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.safetensors_header import Header

_METADATA = "lora_adapter_metadata"
"""The field in which diffusers stores PEFT's configurations, one per network: “unet.r”, “text_encoder.r” and so on."""

_PEFT_FILE, _PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""The two files of an adapter that PEFT saves."""


_SAFE = re.compile(r"\^?(?:[\w|()\[\]-]|\\[.d]|\.|(?<=[.d\]])[*+])*\$?")
"""Expressions that are matched. They are foreign text: no repetition inside a repetition, which could take for ever."""


@dataclass(frozen=True)
class Strengths:
    """PEFT's configurations of a file's networks; without any, every factor is 1.

    Attributes:
        configs: component (“unet”, “text_encoder”, “text_encoder_2”) -> PEFT's configuration; the component "" stands
            for all.
    """

    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def factor(self, component: str, module: str, rank: int) -> float:
        """The factor of a module's weight change: alpha / r, or alpha / √r for rank-stabilised LoRA.

        It counts only if the file has no alpha of its own for the module.

        Args:
            component: the network.
            module: the module's name in it.
            rank: the rank of its matrices, for a configuration that does not say it.
        """
        config = self.configs.get(component) or self.configs.get("")
        if not config:
            return 1.0
        alpha = _of_module(config.get("alpha_pattern"), module, config.get("lora_alpha", config.get("alpha")))
        r = _of_module(config.get("rank_pattern"), module, config.get("r")) or rank
        if alpha is None:
            return 1.0
        return float(alpha) / (float(r) ** 0.5 if config.get("use_rslora") else float(r))


def read_strengths(header: Header) -> Strengths:
    """The configurations that a file has, in its metadata or in PEFT's file beside it.

    Raises:
        BrokenModel: they are damaged.
    """
    text = header.metadata.get(_METADATA)
    beside = header.file.parent / _PEFT_CONFIG
    if text is None and (header.file.name != _PEFT_FILE or not beside.is_file()):
        return Strengths()
    try:
        values = json.loads(text if text is not None else beside.read_text(encoding="utf-8"))
        if text is None:
            return _checked({"": dict(values)})
        configs: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            component, _, key = str(name).partition(".")
            configs.setdefault(component, {})[key] = value
        return _checked(configs)
    except (ValueError, TypeError, AttributeError, OSError, re.error) as error:
        where = f"The field “{_METADATA}” of {header.file}" if text is not None else str(beside)
        raise BrokenModel(f"{where} is damaged ({error}).", "Fetch the file again.") from error


def _checked(configs: dict[str, dict[str, Any]]) -> Strengths:
    """The configurations, if all numbers in them are numbers and all ranks are positive.

    Raises:
        ValueError, TypeError: one is not.
    """
    for config in configs.values():
        ranks = [config.get("r"), *dict(config.get("rank_pattern") or {}).values()]
        alphas = [config.get("lora_alpha"), config.get("alpha"), *dict(config.get("alpha_pattern") or {}).values()]
        if not all(float(rank) > 0 for rank in ranks if rank is not None):
            raise ValueError("a rank is not positive")
        if not all(abs(float(alpha)) < float("inf") for alpha in alphas if alpha is not None):
            raise ValueError("an alpha is not finite")
        for key in [key for name in ("rank_pattern", "alpha_pattern") for key in dict(config.get(name) or {})]:
            if len(key) > 200 or _SAFE.fullmatch(key) is None or sum(map(key.count, "*+")) > 4:
                raise ValueError(f"the pattern “{key:.60}” is not understood")
            re.compile(key)
    return Strengths(configs)


def _of_module(pattern: Any, module: str, general: Any) -> Any:
    """A module's own value if one of PEFT's patterns means the module; else `general`."""
    return next((value for key, value in (pattern or {}).items() if _matches(key, module)), general)


def _matches(key: str, module: str) -> bool:
    """PEFT's rule: a pattern is a regular expression for the whole name, or for its end after a dot."""
    return re.match(rf"(.*\.)?({key})$", module) is not None
