"""Four ways to run the method, from the paper's own to the fastest."""

from __future__ import annotations

from typing import Any, Literal

Preset = Literal["paper", "exact", "balanced", "fast"]

PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {"prior": "per_step"},
    "exact": {"prior": "lagged"},
    "balanced": {"prior": "lagged", "guidance_end": 0.2},
    "fast": {"prior": "lagged", "guidance_start": 0.9, "guidance_end": 0.4, "blend_end": 0.2},
}
"""What each preset changes: option name -> value. All else stays as the model was tuned.

paper: the priors by a pass of their own before every step. exact: nothing is left out, but the priors come from the
step before. balanced and fast leave out guidance, and fast coupling too, where they are least missed; coupling that a
model ends earlier ends there.
"""
