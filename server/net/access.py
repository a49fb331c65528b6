"""Who may connect. Asked about every HTTP request, before a websocket exists."""

from __future__ import annotations

import hmac
import ipaddress
from http import HTTPStatus

from websockets.datastructures import Headers

from layerfusion.server.config import LOOPBACK


class AccessPolicy:
    """The door of one server.

    Args:
        port: the one it listens on.
        token: what clients must show.
        origins: web pages that may connect.
        names: host names by which it may be asked for, besides those of loopback.
        encrypted: whether it speaks TLS, which decides the port that a `Host` may leave out.
    """

    def __init__(
        self, port: int, token: str, origins: tuple[str, ...], names: tuple[str, ...] = (), *, encrypted: bool = False
    ) -> None:
        self._ports = {f":{port}"} | ({""} if port == (443 if encrypted else 80) else set())
        self._names = {_in_url(name) for name in (*LOOPBACK, *names)}
        self._authorization = f"Bearer {token}".encode()
        self._origins = origins

    def refusal(self, path: str, headers: Headers, local: str = "127.0.0.1") -> tuple[HTTPStatus, str] | None:
        """Why a request is refused, None if it is welcome.

        Each of the headers may come once: two could be read in two ways.

        Args:
            path: as asked for.
            headers: of the request.
            local: this server's end of the connection. Asking for that very address is no rebound name.
        """
        hosts, origins, tokens = (headers.get_all(name) for name in ("Host", "Origin", "Authorization"))
        if len(hosts) != 1 or not self._is_ours(hosts[0].lower(), local):  # a name that was made to point here
            return HTTPStatus.MISDIRECTED_REQUEST, "This server answers to its own address only.\n"
        if len(origins) > 1 or any(origin not in self._origins for origin in origins):  # a web page
            return HTTPStatus.FORBIDDEN, "Web pages may not connect.\n"
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode("utf-8", "replace"), self._authorization):
            return HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n"
        if path != "/":
            return HTTPStatus.NOT_FOUND, "There is nothing here.\n"
        return None

    def _is_ours(self, host: str, local: str) -> bool:
        return any(host == name + port for name in (*self._names, _in_url(local)) for port in self._ports)


def _in_url(name: str) -> str:
    """A host as URLs and `Host` headers write it: IPv6 in brackets, an IPv4 address in IPv6 clothes as itself."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or f"[{address}]")
    return str(address)
