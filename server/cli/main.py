"""The command `layerfusion`: runs one command line and turns what happens into an exit code.

Exit codes: 0 done; 2 wrong usage or input, or an output that cannot be written; 1 anything else; 130 stopped with
Ctrl-C. Whatever is wrong is said in one line on the error stream.

At its top this file imports next to nothing: all else is imported inside `main`, where Ctrl-C is one line already.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_LONGEST = 500
"""Characters of an error: enough for any of ours; a quoted argument may be longer than a screen."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    try:
        return _run(argv)
    except KeyboardInterrupt:
        sys.stderr.write("layerfusion: Stopped.\n")
        return 130


def _run(argv: Sequence[str] | None) -> int:
    from layerfusion.engine.errors import EngineError, FileError, InvalidRequest, UnknownModel
    from layerfusion.server.cli.console import CommandError, UsageError, be_forgiving
    from layerfusion.server.cli.parser import build_parser

    be_forgiving((sys.stdout, sys.stderr))
    try:
        parser = build_parser()
        arguments = parser.parse_args(argv)
        if arguments.run is None:
            parser.print_help()
            return 0
        return arguments.run(arguments) or 0
    except UsageError as error:
        return _fail(2, error)
    except EngineError as error:
        return _fail(2 if isinstance(error, (InvalidRequest, FileError, UnknownModel)) else 1, error)
    except CommandError as error:
        return _fail(1, error)


def _fail(code: int, reason: object) -> int:
    from layerfusion.server.cli.console import say

    text = f"layerfusion: {reason}"
    say(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…", sys.stderr)
    return code
