"""`layerfusion status`: what the running server does, here or on its page in the browser."""

from __future__ import annotations

import argparse
import json

from layerfusion.server.cli.console import CommandError, say
from layerfusion.server.cli.pages import open_in_browser
from layerfusion.server.client import browser
from layerfusion.server.protocol import location


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `status`."""
    parser.description = "Say what the running server does: its worker, its store, the disk and the jobs."
    parser.set_defaults(run=run)
    parser.add_argument("--browser", action="store_true", help="open the server's page in the browser, signed in")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(arguments: argparse.Namespace) -> None:
    """Print the state of the server, or open its page.

    Raises:
        CommandError: no server is running or it does not answer, or the page cannot be opened.
    """
    runtime = location.read()
    if runtime is None:
        raise CommandError("No server is running. Start one with “layerfusion serve”.")
    try:
        if arguments.browser:
            open_in_browser(runtime)
        else:
            _show(runtime, as_json=arguments.json)
    except browser.NoAnswer as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"The page cannot be opened ({error.strerror or error}).") from error


def _show(runtime: location.Runtime, *, as_json: bool) -> None:
    status = browser.status(runtime)
    if as_json:
        print(json.dumps(status))
        return
    where = "on another machine" if runtime.is_elsewhere else f"process {runtime.pid}"
    say(f"server   {browser.address(runtime)} ({where}, version {status['version']})")
    for part, text in status["health"].items():
        say(f"{part:<8} {text}")
    states = [job["state"] for job in status["jobs"]]
    say(f"jobs     {states.count('running')} being drawn, {states.count('queued')} waiting")
    say(f"clients  {status['connections']} connected")
    if not status["well"]:
        say("The server is not well: see the lines above.")
