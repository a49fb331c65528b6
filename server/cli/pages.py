"""Opens a page of a running server in the browser and says how to get there without."""

from __future__ import annotations

from layerfusion.server.cli.console import say
from layerfusion.server.client import browser
from layerfusion.server.protocol import location


def open_in_browser(runtime: location.Runtime, page: str = "") -> None:
    """Open a page, signed in with a code that works once.

    Args:
        runtime: the server.
        page: see `browser.address`.

    Raises:
        NoAnswer: the server does not answer.
        OSError: the file that takes the code to the browser cannot be written.
    """
    code = browser.new_code(runtime)
    say(f"If no page opens: go to {browser.address(runtime, page)} and enter the code {code}")
    if browser.open_page(runtime, code, page):
        say("The browser is signed in.")
    else:
        say("No browser was signed in yet; the code is valid for some minutes.")
