"""The server's log: with time and level, without prompts, and in a file that does not grow for ever.

Messages of the program name errors by their code. The text of an unforeseen exception may quote what it was about, so
that of most kinds is left out; where it happened, and the kinds, stay.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from layerfusion.engine.errors import UnwritableFile

MOST_BYTES = 10_000_000
"""Size of the file at which a new one is begun."""

KEPT = 5
"""Number of older files that are kept."""

_LONGEST = 16_384
"""A longer line is broken."""

LEVELS = ("debug", "info", "warning", "error")

_SHOWN = (OSError, MemoryError, RuntimeError, AssertionError, ImportError)
"""Their texts are about files, devices, shapes and modules, not about prompts."""

_Info = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PrivateFormatter(logging.Formatter):
    """Time in UTC, level, source and message on one line, then the traceback without texts that may quote a prompt.

    Args:
        process: which process it is; empty for the server's own.
    """

    converter = time.gmtime

    def __init__(self, process: str = "") -> None:
        prefix = f"{process}: " if process else ""
        super().__init__(f"%(asctime)s.%(msecs)03dZ %(levelname)s {prefix}%(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatException(self, ei: _Info) -> str:  # noqa: N802 - as in the base class
        error, chain = ei[1], []
        while error is not None and error not in chain:
            chain.append(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\n".join(_described(each) for each in reversed(chain))


def _described(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    shown = isinstance(error, _SHOWN) and not isinstance(error, RecursionError)
    return f"{frames}{type(error).__qualname__}{f': {error}' if shown else ' (its text is left out)'}"


def start(process: str = "", level: str = "warning") -> None:
    """Log to the error stream."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrivateFormatter(process))
    _use(handler, level)


@contextlib.contextmanager
def into_file(path: Path, level: str = "warning") -> Iterator[None]:
    """Within the block, log to a file, and with it everything that this process and those it starts write to the error
    stream: their log, and what a library says before it ends the process.

    The file has at most `MOST_BYTES`; older ones have the endings .1 to .5. Only its owner can read it.

    Raises:
        UnwritableFile: the file cannot be written.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        handler = _RotatingFile(path, maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UnwritableFile(f"The log {path} cannot be written ({error.strerror or error}).") from error
    handler.setFormatter(_AsTheyAre())
    reading, writing = os.pipe()
    before = os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)
    copying = threading.Thread(target=_copy, args=(reading, handler), name="layerfusion-log", daemon=True)
    copying.start()
    start("", level)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)  # closes the last end of the pipe, unless a process that we started still has one
        os.close(before)
        copying.join(1)


class _RotatingFile(logging.handlers.RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as in the base class
        """Lose the line: to complain on the error stream, which leads here, would never end."""

    def _open(self):  # type: ignore[no-untyped-def] - as in the base class
        return open(self.baseFilename, "a", encoding=self.encoding, errors=self.errors, opener=_private)


class _AsTheyAre(logging.Formatter):
    """Lines that come from a log have a time already."""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy(reading: int, handler: logging.Handler) -> None:
    with os.fdopen(reading, encoding="utf-8", errors="backslashreplace") as lines:
        while line := lines.readline(_LONGEST):
            handler.handle(logging.LogRecord("", logging.INFO, "", 0, line.rstrip("\n"), None, None))
    with contextlib.suppress(OSError):  # a full disk
        handler.close()


def _use(handler: logging.Handler, level: str) -> None:
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # The websockets library writes each request at the level DEBUG, with the token, and each connection at INFO.
    logging.getLogger("websockets").setLevel(max(logging.WARNING, logging.getLogger().level))
