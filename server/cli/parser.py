"""The command line's grammar: every command with its own options, and what is said of a mistyped one."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from layerfusion.server.cli.console import UsageError, nearest

COMMANDS = {
    "generate": "draw a layered picture",
    "harmonise": "draw Shadow, Light and Blended anew for a file you have changed",
    "again": "draw a picture again from its file, with another seed or prompt",
    "options": "list the options of the method, for generate --set",
    "export": "convert a layered file to another format",
    "models": "list the models this machine has, add your own",
    "studio": "draw in the browser, without Krita",
    "serve": "run the server for Krita and other programs",
    "status": "say what the running server does, or open its page in the browser",
    "connect": "have Krita use a server on another machine",
    "token": "give the users of a shared server a token each",
    "jobs": "look at, export or forget the jobs a server keeps",
    "plugin": "put the plugin into Krita, or take it out",
    "doctor": "check the installation and say what is missing",
    "evaluate": "measure what LayerFusion does on a model",
    "benchmark": "count what drawing with SDXL costs",
    "train": "train the embedded model anew (needs the extra `train`)",
}
"""What `layerfusion --help` lists, in this order. Each is a module beside this one with a function `declare`, which
declares its options on its parser and sets `run`. A module is imported when its command is used, so that no command
waits for what others need."""

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
    parser.add_argument("--version", action=_Version, help="show program's version number and exit")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, what in COMMANDS.items():
        commands.add_parser(name, help=what, command=name)
    return parser


class _Version(argparse.Action):
    """argparse's own action needs the version when the option is declared, and reading it takes a while."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(nargs=0, **settings)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib import metadata

        print(f"layerfusion {metadata.version('layerfusion')}")
        parser.exit()


class CommandParser(argparse.ArgumentParser):
    """argparse without abbreviations, with one sentence in the place of a usage dump, and with suggestions.

    Args:
        command: one of `COMMANDS`, whose options are declared when they are first needed.
    """

    def __init__(self, *, command: str | None = None, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._undeclared = command

    def _declare(self) -> None:
        name, self._undeclared = self._undeclared, None
        if name is not None:
            import_module(f"layerfusion.server.cli.{name}").declare(self)

    def format_help(self) -> str:
        self._declare()
        return super().format_help()

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
        self._declare()
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
