"""`layerfusion studio`: draw in the browser, with the server that runs or one that is started for it."""

from __future__ import annotations

import argparse
import os
import threading

from layerfusion.server.cli.console import CommandError, say
from layerfusion.server.cli.environment import prepare_libraries
from layerfusion.server.cli.pages import open_in_browser
from layerfusion.server.client import browser
from layerfusion.server.protocol import location

PAGE = "studio"
OPENER = "opener of the studio"
"""Name of the thread that opens the page of a server that is started here."""

_POLL_SECONDS = 0.1
_LAST_SECONDS = 5.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `studio`."""
    parser.description = (
        "Open the studio in the browser: draw layered pictures without Krita. If no server runs, one is started and "
        "runs until Ctrl-C; to start it with options of your own, use “layerfusion serve” first."
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Open the studio, and serve until stopped if no server was running. Returns the exit code.

    Raises:
        CommandError: the running server does not answer, or the page cannot be opened.
    """
    runtime = location.read()
    if runtime is None:
        return _serve()
    try:
        open_in_browser(runtime, PAGE)
    except browser.NoAnswer as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"The page cannot be opened ({error.strerror or error}).") from error
    return 0


def _serve() -> int:
    from layerfusion.server.config import ServerConfig
    from layerfusion.server.net.app import serve

    prepare_libraries()  # the worker process inherits it
    ended = threading.Event()
    opener = threading.Thread(target=_open_when_it_listens, args=(ended,), name=OPENER, daemon=True)
    opener.start()
    try:
        return serve(ServerConfig())
    finally:
        ended.set()
        opener.join(_LAST_SECONDS)  # it removes the file with the code


def _open_when_it_listens(ended: threading.Event) -> None:
    """Wait for this process's own server: another one may be starting at the same time, and then this one ends."""
    while (runtime := location.read()) is None or runtime.pid != os.getpid():
        if ended.wait(_POLL_SECONDS):
            return
    try:
        open_in_browser(runtime, PAGE)
    except (browser.NoAnswer, OSError) as error:  # the server goes on; “layerfusion studio” opens it again
        if not ended.is_set():
            say(f"The studio could not be opened: {error}")
