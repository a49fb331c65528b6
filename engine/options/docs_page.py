"""Generates the page of the options: python -m layerfusion.engine.options.docs_page > docs/fusion-settings.md"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import Field, fields
from itertools import groupby
from typing import Any

from layerfusion.engine.options.field import in_words
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import PRESETS
from layerfusion.engine.options.research import ResearchSettings

_HEAD = """\
# The options of LayerFusion

LayerFusion draws several pictures at once: each foreground (F), the background (B) and the blended picture (X).
After each attention module they exchange activations (a_F, a_X, a_B) by masks that are computed from the foreground's
own attention. The paper (arXiv 2412.04460) leaves many details open; each of them is an option here, so that every
interpretation can be tried.

Most artists need none of them. These are worth a try: `decision_boundary` (how crisp the object's edge is),
`foreground_boundary` (how much of the scene's light reaches into the object), `foreground_update = none` (the object
is drawn as if it stood alone).

    layerfusion generate "an apple" --background "a beach" --preset fast --set decision_boundary=3 --out apple.psd

`generate --inspect FOLDER` shows what an option changes inside: the priors, the masks and every stream's estimates at
each step, as contact sheets and as NumPy arrays (`engine/inspection/records.py` describes the arrays).

Programs that use the protocol send the same names and values as `preset` and `switches` of `submit`. Without them, the
model's own settings apply; `layerfusion models` lists the models. If two options contradict each other, the request is
refused and the message names them. The options form one flat list of names: for a program it makes no difference in
which of the two parts of this page an option is described.

Symbols: s structure prior, c content confidence, u = s c scaled to the maximum 1, m soft mask, h hard mask, d decision
boundary, σ the logistic function, T the number of training timesteps, t the time of a step, from T down to 0.

A share of T is a noise level, not a share of the steps: 0.2 T is σ = 0.57 on SDXL's schedule, where only fine detail is
left to draw. So an option means the same for the picture with every sampler. How many steps it concerns depends on the
sampler's spacing: of 30 steps, 6 begin at or below 0.2 T with equal distances, 8 with Beta, 11 with Karras and 14 with
Exponential.

## Presets

A preset changes only the options in its row; all others keep the model's values. `paper` makes its masks as the paper
prints them ([paper.md](paper.md)). The others keep the model's masks: `exact` omits nothing, but takes the priors from
the step before, which saves one forward of the foreground rows per step. `balanced` and `fast` compute a part of the
network in every third or sixth step only, and do not draw what is known; [performance.md](performance.md) has what that
saves and what it loses. With a model that has a few-step adapter, `fast` draws in a few steps without guidance, which
is a tenth of the work of the network. The embedded model has one and draws with it if no preset is named, too; `paper`,
`exact` and `balanced` draw in all its steps.

| preset | changes |
|---|---|
"""

_RESEARCH = """
## For researchers

These options decide how the method measures the network's attention and how it mixes the activations. They are for
tuning a model; an artist has no reason to change them.
"""


def page() -> str:
    """The whole page in Markdown: the options for artists, then those for researchers."""
    presets = [
        f"| `{name}` | {', '.join(f'`{option}` = {_value(value)}' for option, value in changes.items())} |"
        for name, changes in PRESETS.items()
    ]
    research = fields(ResearchSettings)
    artist = FusionSettings.options()[: -len(research)]
    return _HEAD + "\n".join(presets) + "\n\n## For artists\n" + _part(artist) + _RESEARCH + _part(research)


def _part(options: Sequence[Field[Any]]) -> str:
    groups = groupby(options, key=lambda option: option.metadata["group"])
    return "".join(f"\n### {title}\n" + "".join(_option(option) for option in members) for title, members in groups)


def _option(option: Field[Any]) -> str:
    about = option.metadata
    return (
        f"\n#### `{option.name}`\n\n"
        f"{_takes(about['limits'], option.default is None)} Default: {_value(option.default)}.\n\n"
        f"{about['artist']}\n\n"
        f"*In the paper's terms.* {about['researcher']}\n"
    )


def _value(value: object) -> str:
    return f"`{in_words(value)}`" if value != "" else "empty"


def _takes(limits: dict[str, Any], may_be_none: bool) -> str:
    if "choices" in limits:
        return f"One of {', '.join(f'`{choice}`' for choice in limits['choices'])}."
    if "flag" in limits:
        return "`true` or `false`."
    if "text" in limits:
        return f"A text of at most {limits['text']} characters."
    kind, (low, high) = next(iter(limits.items()))
    word = "A whole number" if kind == "whole" else "A number"
    return f"{word} from {low:g} to {high:g}{', or `none`' if may_be_none else ''}."


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]  # the terminal's may differ
    sys.stdout.write(page())
