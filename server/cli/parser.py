"""The command line's grammar: every command with its own options, and what is said of a mistyped one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NoReturn

from layerfusion.server.cli import (
    benchmark,
    doctor,
    evaluate,
    export,
    generate,
    jobs,
    models,
    options,
    plugin,
    serve,
    train,
)
from layerfusion.server.cli.console import UsageError, nearest

COMMANDS = (generate, options, export, models, serve, jobs, plugin, doctor, evaluate, benchmark, train)
"""In the order in which `layerfusion --help` lists them. Each has `add_parser`, which declares its options and sets
`run`."""

_WHAT = """\
Draws a foreground, a background and their harmonised blend together, as layers
with alpha.
"""
_FIRST_STEPS = """\
A first picture, drawn by the model that comes along:
  layerfusion generate "a red apple" --background "a beach at sunset" --out apple.psd

`layerfusion COMMAND --help` explains one command.
Exit codes: 0 done; 2 wrong input, or a file that cannot be written; 1 any other
failure; 130 stopped with Ctrl-C.
"""
_NUMBER = re.compile(r"-[\d.]")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. After parsing, `run` is the command's function, or None if none was named."""
    parser = CommandParser(
        prog="layerfusion",
        description=_WHAT,
        epilog=_FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"layerfusion {metadata.version('layerfusion')}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


class CommandParser(argparse.ArgumentParser):
    """argparse without abbreviations, with one sentence in the place of a usage dump, and with suggestions."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """
        Raises:
            UsageError: always.
        """
        sentence = f"{message[0].upper()}{message[1:]}"
        sentence += "" if sentence.endswith((".", "?")) else "."
        raise UsageError(f"{sentence} See: {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - overloaded there
        """As argparse does, which calls this for the whole line and again for each command's part of it.

        Raises:
            UsageError: an option that there is not, or words left over.
        """
        words = sys.argv[1:] if args is None else list(args)
        self._check_options(words)
        namespace, left = super().parse_known_args(words, namespace)
        if left:
            self.error(f"“{left[0]:.60}” is one word too many{self._meant_words(words, left)}")
        return namespace, left

    def _meant_words(self, words: Sequence[str], left: Sequence[str]) -> str:
        """What to write if the words left over are the rest of a prompt without quotes; otherwise nothing."""
        starts = range(len(words) - len(left), 1, -1)
        start = next((at for at in starts if words[at : at + len(left)] == left), None)
        if start is None or words[start - 2] not in self._option_string_actions:
            return ""
        option, *prompt = words[start - 2 : start + len(left)]
        return f'; put a prompt of several words in quotes: {option} "{" ".join(prompt)}".'

    def _check_options(self, words: Sequence[str]) -> None:
        """Name an unknown option before argparse names what is missing for want of it."""
        for word in words:
            if word == "--" or (self._subparsers is not None and not word.startswith("-")):
                return
            name = word.partition("=")[0]
            is_option = len(name) > 1 and name[0] == "-" and " " not in word and not _NUMBER.match(word)
            if is_option and name not in self._option_string_actions:
                self.error(f"There is no option {name:.60}{nearest(name, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse's own check of a value against a list of choices, with a suggestion."""
        choices = action.choices
        if choices is None or value in choices:
            return
        known = [str(choice) for choice in choices]
        if isinstance(action, argparse._SubParsersAction):
            self.error(f"There is no command “{value:.60}”{self._meant_command(str(value), known)}")
        listed = ", ".join(known)
        raise argparse.ArgumentError(action, f"“{value}” is none of {listed}{nearest(str(value), known)}")

    def _meant_command(self, word: str, known: Sequence[str]) -> str:
        if " " in word.strip() and "generate" in known:
            return f'; to draw it, write: layerfusion generate "{word:.60}" --background "…" --out picture.psd.'
        return nearest(word, known) or f"; there are {', '.join(known)}"
