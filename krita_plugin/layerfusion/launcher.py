"""Finds the server's program and starts it so that it keeps running after Krita was closed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

INSTALLED = Path(__file__).with_name("installed.json")
"""Written by `layerfusion plugin install`; missing if the plugin was imported as a zip."""

_OF_KRITA_ONLY = ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "QT_PLUGIN_PATH")
"""Variables that Krita's bundles set for themselves. With them, the server's Python would load the wrong libraries."""

_DETACHED = 0
if sys.platform == "win32":
    _DETACHED = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP


@dataclass(frozen=True)
class ServerExited:
    """The server that the plugin started has ended.

    Attributes:
        code: its exit status; 0 if it was told to stop.
        last_line: the last line of its output; empty if there was none.
    """

    code: int
    last_line: str


def command(installed: Path = INSTALLED) -> list[str]:
    """The program and arguments that start the server.

    The program is the one that installed this plugin, else the one on the PATH, else just the name `layerfusion`.
    """
    try:
        named = json.loads(installed.read_text("utf-8"))["executable"]
    except (OSError, ValueError, KeyError, TypeError):
        named = None
    if isinstance(named, str) and Path(named).is_file():
        return [named, "serve"]
    return [shutil.which("layerfusion") or "layerfusion", "serve"]


def as_text(arguments: list[str]) -> str:
    """The command as it is typed in a terminal of this operating system."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(arguments)
    return shlex.join(arguments)


def start(arguments: list[str], deliver: Callable[[ServerExited], None]) -> None:
    """Start the server in a new session, so that it keeps running after Krita was closed.

    Args:
        arguments: program and arguments.
        deliver: called once, on another thread, when the server ends.

    Raises:
        OSError: the program is missing or cannot be run.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OF_KRITA_ONLY}
    handle, log = tempfile.mkstemp(prefix="layerfusion-server-", suffix=".log")
    try:
        process = subprocess.Popen(  # noqa: S603
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=Path.home(),
            start_new_session=True,  # on POSIX; on Windows the flags below have the same effect
            creationflags=_DETACHED,
        )
    except OSError:
        Path(log).unlink()
        raise
    finally:
        os.close(handle)

    def wait() -> None:
        code = process.wait()  # without it, an ended server would be a zombie, which seems to be running
        try:
            lines = Path(log).read_text("utf-8", "replace").split("\n")
        except OSError:  # after days, something may have cleaned the folder for temporary files
            lines = []
        deliver(ServerExited(code, next((line.strip() for line in reversed(lines) if line.strip()), "")))
        Path(log).unlink(missing_ok=True)

    threading.Thread(target=wait, name="layerfusion-server", daemon=True).start()
