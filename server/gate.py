"""Who may connect. Asked about every HTTP request, before a websocket exists."""

from __future__ import annotations

import hmac
from http import HTTPStatus

from websockets.datastructures import Headers

from server.config import LOOPBACK


class Gate:
    """The door of one server.

    Args:
        port: the one it listens on.
        token: what clients must show.
        origins: web pages that may connect.
    """

    def __init__(self, port: int, token: str, origins: tuple[str, ...]) -> None:
        self._hosts = {f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in LOOPBACK}
        self._authorization = f"Bearer {token}".encode()
        self._origins = origins

    def refusal(self, path: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        """Why a request is refused, None if it is welcome.

        Each of the headers may come once: two could be read in two ways.
        """
        hosts, origins, tokens = (headers.get_all(name) for name in ("Host", "Origin", "Authorization"))
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:  # a name that was made to point here
            return HTTPStatus.MISDIRECTED_REQUEST, "This server answers to its own address only.\n"
        if len(origins) > 1 or any(origin not in self._origins for origin in origins):  # a web page
            return HTTPStatus.FORBIDDEN, "Web pages may not connect.\n"
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode("utf-8", "replace"), self._authorization):
            return HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n"
        if path != "/":
            return HTTPStatus.NOT_FOUND, "There is nothing here.\n"
        return None
