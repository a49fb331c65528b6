"""Where the server's program is, and how it is started so that it outlives Krita."""

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
"""Written by `layerfusion plugin install`; not there if the plugin was imported as a zip."""

_OF_KRITA_ONLY = ("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "QT_PLUGIN_PATH")
"""Krita's bundles set these for themselves; another Python would load the wrong libraries with them."""

_DETACHED = 0
if sys.platform == "win32":
    _DETACHED = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP


@dataclass(frozen=True)
class ServerExited:
    """The server that was started from here has ended.

    Attributes:
        code: its exit status; 0 if it was asked to stop.
        words: the last line it wrote, empty if none.
    """

    code: int
    words: str


def command(installed: Path = INSTALLED) -> list[str]:
    """The program and arguments that start the server.

    The program is the one that installed this plugin, else the one on the PATH, else its bare name.
    """
    try:
        named = json.loads(installed.read_text("utf-8"))["executable"]
    except (OSError, ValueError, KeyError, TypeError):
        named = None
    if isinstance(named, str) and Path(named).is_file():
        return [named, "serve"]
    return [shutil.which("layerfusion") or "layerfusion", "serve"]


def as_text(arguments: list[str]) -> str:
    """The command as the artist would type it into this system's terminal."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(arguments)
    return shlex.join(arguments)


def start(arguments: list[str], deliver: Callable[[ServerExited], None]) -> None:
    """Start the server in a session of its own; it goes on when Krita is closed.

    Args:
        arguments: program and arguments.
        deliver: called from another thread, once, when the server ends.

    Raises:
        OSError: the program is not there or cannot be run.
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
            start_new_session=True,  # where there are sessions; on Windows the flags do the same
            creationflags=_DETACHED,
        )
    except OSError:
        Path(log).unlink()
        raise
    finally:
        os.close(handle)

    def wait() -> None:
        code = process.wait()  # also keeps an ended server from staying behind as a zombie that looks alive
        lines = Path(log).read_text("utf-8", "replace").split("\n")
        deliver(ServerExited(code, next((line.strip() for line in reversed(lines) if line.strip()), "")))
        Path(log).unlink(missing_ok=True)

    threading.Thread(target=wait, name="layerfusion-server", daemon=True).start()
