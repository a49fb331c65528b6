"""`layerfusion options`: what `generate --set` can change, listed without loading a model."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from dataclasses import Field, fields
from itertools import groupby
from typing import Any

from layerfusion.engine.models.catalog.registry import available_models, find_model
from layerfusion.engine.options.field import in_words
from layerfusion.engine.options.fusion import FusionSettings
from layerfusion.engine.options.presets import PRESETS
from layerfusion.engine.options.research import ResearchSettings
from layerfusion.server.cli.console import UsageError, nearest, say


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `options`."""
    parser.description = (
        "List the options of the method, which `generate --set NAME=VALUE` changes: what each may be, what "
        "a model has by default, and what it does. Nothing is loaded."
    )
    parser.set_defaults(run=run)
    parser.add_argument("names", metavar="NAME", nargs="*", help="explain these options in full (default: list them)")
    parser.add_argument("--all", dest="research", action="store_true", help="also list the options for researchers")
    parser.add_argument("--model", metavar="NAME", help="whose defaults are shown (default: the first model's)")


def run(arguments: argparse.Namespace) -> None:
    """Print the list, or the options that are named.

    Raises:
        UnknownModel: there is no model of that name.
        UsageError: there is no option of that name.
    """
    spec = available_models()[0] if arguments.model is None else find_model(arguments.model)
    defaults = spec.defaults.fusion.words()
    known = {option.name: option for option in FusionSettings.options()}
    for name in arguments.names:
        if name not in known:
            raise UsageError(f"There is no option “{name:.60}”{nearest(name, known)}. See: layerfusion options --all")
    if arguments.names:
        for name in arguments.names:
            _explain(known[name], defaults[name], ("artist", "researcher"))
        return
    research = {option.name for option in fields(ResearchSettings)}
    listed = [option for option in known.values() if arguments.research or option.name not in research]
    for group, options in groupby(listed, key=lambda option: option.metadata["group"]):
        say(f"{group}:")
        for option in options:
            _explain(option, defaults[option.name], ("artist",))
    say("Presets, for generate --preset:")
    for preset, changes in PRESETS.items():
        _wrap(f"{preset}: {', '.join(f'{name}={in_words(value)}' for name, value in changes.items())}", 2)
    more = "" if arguments.research else f" {len(research)} more are for researchers: layerfusion options --all"
    say(f"Defaults are those of the model “{spec.name}”.{more}")


def _explain(option: Field[Any], default: str, texts: tuple[str, ...]) -> None:
    _wrap(f"{option.name}={_values(option)}  (default: {default or 'empty'})", 2)
    for text in texts:
        _wrap(option.metadata[text], 6)


def _values(option: Field[Any]) -> str:
    """What an option may be, in few words."""
    (kind, limits), *_ = option.metadata["limits"].items()
    none = " or none" if option.default is None else ""
    match kind:
        case "choices":
            return "|".join(limits)
        case "whole" | "number":
            return f"{'whole number ' if kind == 'whole' else ''}{limits[0]:g} to {limits[1]:g}{none}"
        case "text":
            return f"text of at most {limits} characters"
        case _:
            return "true|false"


def _wrap(text: str, indent: int) -> None:
    """Print a paragraph at the terminal's width, or at 80 columns."""
    width = max(40, min(120, shutil.get_terminal_size((80, 24)).columns))
    space = " " * indent
    for line in textwrap.wrap(text, width, initial_indent=space, subsequent_indent=space, break_on_hyphens=False):
        say(line)
