"""Presets: named values of several options, from the paper's method to the fastest."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["paper", "exact", "balanced", "fast"]

PRINTED_MASKS: dict[str, Any] = {
    "soft_mode": "scaled",
    "hard_mode": "sigmoid",
    "hard_threshold": 0.5,
    "mixture": "foreground",
    "content_from": "foreground",
    "content_layers": "block",
    "structure_layers": 1,
    "structure_block": "",
}
"""The masks as the paper prints them; docs/paper.md says how they were measured."""

PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {"prior": "per_step", "few_steps": False, **PRINTED_MASKS},
    "exact": {"prior": "lagged", "few_steps": False},
    "balanced": {
        "prior": "lagged",
        "guidance_every": 3,
        "deep_every": 3,
        "known_layers": "skipped",
        "few_steps": False,
    },
    "fast": {
        "prior": "lagged",
        "guidance_every": 6,
        "deep_every": 6,
        "known_layers": "skipped",
        "blend_end": 0.4,
        "few_steps": True,
    },
}
"""What each preset changes: preset -> option name -> value. All other options keep the model's values.

paper: the masks that the paper prints, and a prior pass before every step. exact: nothing is omitted, but the priors
come from the step before. balanced and fast compute the unconditional half and the coarse blocks in every third or
sixth step only, and do not draw what is known; fast omits coupling in the last steps, too, and draws in few steps, each
in full, if the model has an adapter for it; the others draw in all steps. docs/performance.md has the gain and the loss
of each. If a model's own settings end coupling earlier than the preset, the model's value stays.
"""
