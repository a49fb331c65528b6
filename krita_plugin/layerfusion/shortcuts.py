"""The actions to which the artist can give shortcuts in Krita's settings: one for each button of the docker.

`layerfusion.action` beside this folder declares them to Krita. None has a shortcut at first: Krita and its own plugins
use most of the keys, and whoever installs a plugin has chosen the others.
"""

from __future__ import annotations

from .translation import mark, tr

CATEGORY = "layerfusion"

ACTIONS = {
    "generate": mark("Generate"),
    "new_background": mark("New background"),
    "new_foreground": mark("New foreground"),
    "harmonise": mark("Harmonise"),
    "again": mark("Again"),
    "live": mark("Live"),
    "relight": mark("Relight"),
    "cancel": mark("Cancel"),
    "export_psd": mark("Export PSD"),
    "previous_variant": mark("Previous picture of a press"),
    "next_variant": mark("Next picture of a press"),
    "keep_variant": mark("Keep this picture of a press"),
    "settings": mark("Settings"),
}
"""Name -> text."""


def caption(name: str) -> str:
    """The text of an action in Krita's settings, in the artist's language."""
    return f"LayerFusion: {tr(ACTIONS[name])}"


def action_id(name: str) -> str:
    """The id of an action in Krita."""
    return f"{CATEGORY}_{name}"
