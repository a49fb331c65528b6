"""The actions to which the artist can give shortcuts in Krita's settings: one for each button of the docker.

`layerfusion.action` beside this folder declares them to Krita. None has a shortcut at first: Krita and its own plugins
use most of the keys, and whoever installs a plugin has chosen the others.
"""

from __future__ import annotations

CATEGORY = "layerfusion"

ACTIONS = {
    "generate": "Generate",
    "new_background": "New background",
    "new_foreground": "New foreground",
    "harmonise": "Harmonise",
    "again": "Again",
    "live": "Live",
    "relight": "Relight",
    "cancel": "Cancel",
    "export_psd": "Export PSD",
    "previous_variant": "Previous picture of a press",
    "next_variant": "Next picture of a press",
    "keep_variant": "Keep this picture of a press",
}
"""Name -> text."""


def action_id(name: str) -> str:
    """The id of an action in Krita."""
    return f"{CATEGORY}_{name}"
