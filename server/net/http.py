"""The answers to requests that are no websocket: two pages and their files, sign-in, and the figures for operators.

    /                   with a token: a line about the server; without: the status page, which has no secrets itself
    /page.js  /page.css the files of the page
    /studio  /studio/…  the studio, which draws pictures, and its files; its sources are beside them
    /code               a one-time code for one browser                              token, or signed in
    /session            exchanges a code for a cookie and a key                      the code, in a header
    /signout            forgets the browser                                          signed in
    /status             the state of the server and the user's jobs, as JSON         token, or signed in
    /healthz            whether worker, store and disk can do their work: 200 or 503
    /metrics            figures for Prometheus                                       an admin's token

Only GET is supported. What changes something needs a header that forms and other sites cannot send. No secret is ever
part of a URL, and no answer may be kept, framed or read by another site.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib import resources

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from layerfusion.server.net.access import AccessPolicy, Refusal
from layerfusion.server.net.browsers import IDLE_SECONDS, Browsers
from layerfusion.server.net.metrics import CONTENT_TYPE
from layerfusion.server.net.monitor import Monitor
from layerfusion.server.storage.users import BrokenUsers

logger = logging.getLogger(__name__)

CODE_HEADER = "X-Layerfusion-Code"

_PAGES = {
    "/": ("pages/page.html", "text/html"),
    "/page.js": ("pages/page.js", "text/javascript"),
    "/page.css": ("pages/page.css", "text/css"),
    "/studio": ("studio/site/studio.html", "text/html"),
    "/studio/studio.js": ("studio/site/studio.js", "text/javascript"),
    "/studio/studio.css": ("studio/site/studio.css", "text/css"),
    "/studio/icon.svg": ("studio/site/icon.svg", "image/svg+xml"),
    "/studio/licences.txt": ("studio/site/licences.txt", "text/plain"),
}

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer."""


class HttpAnswers:
    """Answers the requests of one server that are no websocket. Their address was checked before.

    Args:
        access: who may ask.
        browsers: the browsers that are signed in.
        line: returns the line about the server.
        monitor: looks at the server.
        encrypted: whether the server uses TLS.
    """

    def __init__(
        self,
        access: AccessPolicy,
        browsers: Browsers,
        *,
        line: Callable[[], str],
        monitor: Monitor,
        encrypted: bool,
    ) -> None:
        self._access = access
        self._browsers = browsers
        self._line = line
        self._monitor = monitor
        self._secure = "; Secure" if encrypted else ""
        folder = resources.files("layerfusion.server.net")
        self._files = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in _PAGES.items()}

    async def answer(self, request: Request) -> Response:
        """The answer to a request."""
        headers = request.headers
        if request.path == "/session":
            return self._session(headers)
        if request.path == "/healthz":
            return await self._health()
        if request.path in self._files and not headers.get_all("Authorization"):
            content, kind = self._files[request.path]
            return response(HTTPStatus.OK, content, kind)
        user = self._access.user(headers)
        if isinstance(user, Refusal):
            return refused(user)
        match request.path:
            case "/":
                return response(HTTPStatus.OK, self._line())
            case "/code":
                return response(HTTPStatus.OK, self._browsers.new_code(user.name) + "\n")
            case "/signout":
                self._browsers.sign_out(self._access.cookie_of(headers))
                return response(HTTPStatus.OK, "Signed out.\n", cookie=self._cookie("", 0))
            case "/metrics" if user.admin:
                return response(HTTPStatus.OK, await self._monitor.figures(), CONTENT_TYPE)
            case "/metrics":
                return response(HTTPStatus.FORBIDDEN, "Figures are for the owner and admins.\n")
            case "/status":
                status = await self._monitor.status(user, self._browsers.sign_ins)
                return response(HTTPStatus.OK, json.dumps(status), "application/json")
            case _:
                return response(HTTPStatus.NOT_FOUND, "There is nothing at this path.\n")

    async def _health(self) -> Response:
        """For programs without a token, so it says no more than which part is unwell."""
        unwell = [finding.part for finding in await self._monitor.look() if not finding.well]
        if unwell:
            return response(HTTPStatus.SERVICE_UNAVAILABLE, f"unwell: {', '.join(unwell)}\n")
        return response(HTTPStatus.OK, "ok\n")

    def _session(self, headers: Headers) -> Response:
        codes = headers.get_all(CODE_HEADER)
        made = None
        if len(codes) == 1 and self._access.is_from_page(headers):
            try:
                made = self._browsers.sign_in(codes[0], self._access.cookie_of(headers))
            except BrokenUsers as error:
                logger.error("nobody but the owner can sign in: %s", error.code)
        if made is None:
            return response(HTTPStatus.FORBIDDEN, "The code is wrong, used or too old.\n")
        cookie = self._cookie(made.cookie, int(IDLE_SECONDS))
        return response(HTTPStatus.OK, json.dumps({"key": made.key}), "application/json", cookie=cookie)

    def _cookie(self, value: str, seconds: int) -> str:
        return f"{self._access.cookie}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{self._secure}"


def refused(refusal: Refusal) -> Response:
    """The answer to a request that is not allowed."""
    return response(refusal.status, refusal.text)


def response(
    status: HTTPStatus, content: str | bytes, kind: str = "text/plain", *, cookie: str | None = None
) -> Response:
    """An answer with the headers that every answer has. It ends the connection."""
    body = content.encode() if isinstance(content, str) else content
    headers = Headers(_HEADERS)
    headers["Connection"] = "close"
    headers["Content-Length"] = str(len(body))
    headers["Content-Type"] = f"{kind}; charset=utf-8"
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return Response(status.value, status.phrase, headers, body)
