"""Loss curves as pictures."""

from __future__ import annotations

import json
from pathlib import Path


def plot_curve(log: Path, out: Path, title: str) -> None:
    """Plot every figure of a stage's `log.jsonl` over its samples; nothing is written while the log is empty."""
    from matplotlib.figure import Figure  # of the extra `train`; only those who train need it

    if not log.exists():
        return
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    keys = [key for key in lines[-1] if key not in ("step", "samples", "seconds", "planned")]
    figure = Figure(figsize=(4 * len(keys), 3), layout="constrained")
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        axes.plot([line["samples"] for line in lines], [line.get(key) for line in lines], linewidth=0.8)
        axes.set(title=f"{title}: {key}", xlabel="samples")
        axes.grid(alpha=0.3)
    figure.savefig(out)
