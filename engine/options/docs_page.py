"""The page of the switches, made of them: python -m layerfusion.engine.options.docs_page > docs/fusion-settings.md"""

from __future__ import annotations

import sys
from dataclasses import Field
from itertools import groupby
from typing import Any

from layerfusion.engine.options.field import in_words
from layerfusion.engine.options.fusion import PRESETS, FusionSettings

_HEAD = """\
# The switches of LayerFusion

LayerFusion draws three pictures at once: every foreground (F), the background (B) and the blended picture (X).
After each attention module they exchange activations (a_F, a_X, a_B) by masks that are read from the foreground's
own attention. The paper (arXiv 2412.04460) leaves much of this open; each open point is a switch here, so that
both readings can be tried.

Most artists need none of them. Worth a try: `decision_boundary` (how crisp the object stands out),
`foreground_boundary` (how much of the scene's light reaches into it), `foreground_update = none` (the object as if
it stood alone).

    layerfusion generate "an apple" --background "a beach" --preset fast --set decision_boundary=3 --out apple.psd

`generate --inspect FOLDER` shows what a switch does inside: priors, masks and every stream's estimates, step by step,
as sheets and as NumPy arrays (`engine/inspection/records.py` says which).

Programs that speak the protocol send the same names and values as `preset` and `switches` of `submit`. Without
either, the model's own settings hold; `layerfusion models` lists the models. Where switches contradict each other,
the request is refused and the message says which two.

Symbols: s structure prior, c content confidence, u = minmax(s c), m soft mask, h hard mask, d decision boundary, σ
the logistic function, T the number of training timesteps, t the time of a step, from T down to 0.

## Presets

A preset changes only what its row names; everything else stays as the model has it. `paper` is the method step by
step; `exact` leaves nothing out but takes the priors from the step before, which saves a forward of the foreground
rows per step; `balanced` and `fast` leave out work besides.

| preset | changes |
|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    presets = [
        f"| `{name}` | {', '.join(f'`{switch}` = `{value}`' for switch, value in changes.items())} |"
        for name, changes in PRESETS.items()
    ]
    groups = groupby(FusionSettings.switches(), key=lambda switch: switch.metadata["group"])
    return _HEAD + "\n".join(presets) + "\n" + "".join(_group(title, list(switches)) for title, switches in groups)


def _group(title: str, switches: list[Field[Any]]) -> str:
    return f"\n## {title}\n" + "".join(_switch(switch) for switch in switches)


def _switch(switch: Field[Any]) -> str:
    about = switch.metadata
    return (
        f"\n### `{switch.name}`\n\n"
        f"{_takes(about['limits'], switch.default is None)} Default: `{in_words(switch.default) or ' '}`.\n\n"
        f"*For artists.* {about['artist']}\n\n"
        f"*For researchers.* {about['researcher']}\n"
    )


def _takes(limits: dict[str, Any], may_be_none: bool) -> str:
    if "choices" in limits:
        return f"One of {', '.join(f'`{choice}`' for choice in limits['choices'])}."
    if "switch" in limits:
        return "`true` or `false`."
    if "text" in limits:
        return f"A text of at most {limits['text']} characters."
    kind, (low, high) = next(iter(limits.items()))
    word = "A whole number" if kind == "whole" else "A number"
    return f"{word} from {low:g} to {high:g}{', or `none`' if may_be_none else ''}."


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]  # a terminal's own may be another
    sys.stdout.write(page())
