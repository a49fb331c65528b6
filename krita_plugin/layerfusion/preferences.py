"""What Krita keeps of the plugin in kritarc: what the artist has set, and the prompts of the artist."""

from __future__ import annotations

import json
import os

from krita import Krita

from . import translation
from .qt import QtCore

GROUP = "layerfusion"
"""The section of kritarc."""

MOST_PROMPTS = 40
"""The most earlier prompts that are remembered for a field."""

NO_PROMPTS_VARIABLE = "LAYERFUSION_NO_PROMPTS"
"""Environment variable of all of LayerFusion: if it is set to anything, files hold no prompts and no seeds."""


def language() -> str:
    """The code of the language that the artist has chosen; empty to follow Krita."""
    chosen = Krita.instance().readSetting(GROUP, "language", "")
    return chosen if chosen in translation.LANGUAGES else ""


def set_language(code: str) -> None:
    """Choose a language of `translation.LANGUAGES`, or "" to follow Krita. What is shown later is in that language."""
    Krita.instance().writeSetting(GROUP, "language", code)
    use_language()


def use_language() -> None:
    """Show texts in the language that the artist has chosen, else in Krita's."""
    # Krita makes the language of Settings ▸ Switch Application Language Qt's default; otherwise that is the system's
    translation.use(language() or translation.best(QtCore.QLocale().uiLanguages()))


def prompts_in_files() -> bool:
    """Whether exported files say the prompts and seeds. The environment variable has the last word."""
    return not prompts_are_forbidden() and Krita.instance().readSetting(GROUP, "prompts_in_files", "yes") != "no"


def set_prompts_in_files(yes: bool) -> None:
    Krita.instance().writeSetting(GROUP, "prompts_in_files", "yes" if yes else "no")


def prompts_are_forbidden() -> bool:
    """Whether the environment variable says that files hold no prompts, whatever the artist has set."""
    return bool(os.environ.get(NO_PROMPTS_VARIABLE))


def starts_server() -> bool:
    """Whether the server of this computer is started with Krita."""
    return Krita.instance().readSetting(GROUP, "starts_server", "no") == "yes"


def set_starts_server(yes: bool) -> None:
    Krita.instance().writeSetting(GROUP, "starts_server", "yes" if yes else "no")


def earlier_prompts(role: str) -> list[str]:
    """The prompts of a role that the artist has used, the newest first."""
    try:
        found = json.loads(Krita.instance().readSetting(GROUP, f"prompts_{role}", "[]"))
    except ValueError:
        return []
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []


def remember_prompt(role: str, prompt: str) -> None:
    """Put a prompt at the top of the earlier ones."""
    others = [each for each in earlier_prompts(role) if each != prompt]
    Krita.instance().writeSetting(GROUP, f"prompts_{role}", json.dumps([prompt, *others][:MOST_PROMPTS]))


def forget_prompts(role: str) -> None:
    Krita.instance().writeSetting(GROUP, f"prompts_{role}", "[]")
