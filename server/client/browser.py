"""Opens a page of a running server in the user's browser, signed in, and asks the server for the state it shows.

The one-time code gets to the browser in a file that only this user can read. On the browser's command line every user
of the machine could see it, and be faster. The page itself takes the code out of its address before it uses it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import time
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from layerfusion.server.protocol import location

_POLL_SECONDS = 0.25
_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>LayerFusion</title>
<script>location.replace({address})</script>
"""


class NoAnswer(Exception):
    """The server did not answer as expected. The text is for the user."""


def address(runtime: location.Runtime, page: str = "") -> str:
    """The URL of one of the server's pages: the status page, or `studio`."""
    return "http" + runtime.url.removeprefix("ws") + page


def status(runtime: location.Runtime) -> dict[str, Any]:
    """What `/status` says: see `server.net.http`.

    Raises:
        NoAnswer: the server does not answer.
    """
    return json.loads(_ask(runtime, "/status"))


def new_code(runtime: location.Runtime) -> str:
    """A code with which one browser can be signed in, once.

    Raises:
        NoAnswer: the server does not answer.
    """
    return _ask(runtime, "/code").strip()


def open_page(
    runtime: location.Runtime,
    code: str,
    page: str = "",
    *,
    seconds: float = 60,
    show: Callable[[str], bool] = webbrowser.open,
) -> bool:
    """Open one of the server's pages in the browser, and wait until the browser is signed in.

    Args:
        runtime: the server.
        code: from `new_code`.
        page: see `address`.
        seconds: longest wait.
        show: opens a URL in the browser, and returns False if there is none.

    Returns:
        Whether a browser was signed in meanwhile.

    Raises:
        NoAnswer: the server does not answer.
        OSError: the file cannot be written.
    """
    before = status(runtime)["sign_ins"]
    target = json.dumps(f"{address(runtime, page)}#code={code}").replace("<", "\\u003c")
    courier = location.path().with_name(f"open-{secrets.token_hex(8)}.html")
    descriptor = os.open(courier, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(address=target))
        if not show(courier.absolute().as_uri()):
            return False
        end = time.monotonic() + seconds
        while status(runtime)["sign_ins"] == before:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        return True
    finally:
        courier.unlink()


def _ask(runtime: location.Runtime, path: str) -> str:
    parts = urlsplit(runtime.url)
    try:
        encryption = runtime.tls()
        if encryption is None:
            request = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        else:
            request = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=10, context=encryption)
        with contextlib.closing(request):
            request.request("GET", path, headers={"Authorization": f"Bearer {runtime.token}"})
            answer = request.getresponse()
            text = answer.read().decode("utf-8", "replace")
    except (OSError, ValueError, http.client.HTTPException) as error:  # ssl.SSLError is an OSError
        raise NoAnswer(f"The server at {runtime.url} does not answer ({error}).") from error
    if answer.status != HTTPStatus.OK:
        raise NoAnswer(f"The server at {runtime.url} answers {answer.status}: {text.strip():.200}")
    return text
