"""Decides who may connect. Every HTTP request is checked here before it becomes a websocket."""

from __future__ import annotations

import hmac
import ipaddress
from http import HTTPStatus

from websockets.datastructures import Headers

from layerfusion.server.config import LOOPBACK


class AccessPolicy:
    """The checks of `Host`, `Origin`, token and path for one server.

    Args:
        port: the port on which the server listens.
        token: the token that clients must send.
        origins: values of `Origin` that are allowed.
        names: host names that are allowed in `Host`, besides those of loopback.
        encrypted: whether the server uses TLS, because then `Host` may omit port 443, otherwise port 80.
    """

    def __init__(
        self, port: int, token: str, origins: tuple[str, ...], names: tuple[str, ...] = (), *, encrypted: bool = False
    ) -> None:
        self._ports = {f":{port}"} | ({""} if port == (443 if encrypted else 80) else set())
        self._names = {_in_url(name) for name in (*LOOPBACK, *names)}
        self._authorization = f"Bearer {token}".encode()
        self._origins = origins

    def refusal(self, path: str, headers: Headers, local: str = "127.0.0.1") -> tuple[HTTPStatus, str] | None:
        """The status and text with which a request is refused; None if it is allowed.

        Each of the headers may occur only once, because different programs choose a different one of two.

        Args:
            path: the requested path.
            headers: the headers of the request.
            local: the server's own IP address in this connection, which is always allowed in `Host`.
        """
        hosts, origins, tokens = (headers.get_all(name) for name in ("Host", "Origin", "Authorization"))
        if len(hosts) != 1 or not self._is_ours(hosts[0].lower(), local):  # DNS rebinding
            return HTTPStatus.MISDIRECTED_REQUEST, "This server answers to its own address only.\n"
        if len(origins) > 1 or any(origin not in self._origins for origin in origins):  # a web page
            return HTTPStatus.FORBIDDEN, "Web pages may not connect.\n"
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0].encode("utf-8", "replace"), self._authorization):
            return HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n"
        if path != "/":
            return HTTPStatus.NOT_FOUND, "The only path is “/”.\n"
        return None

    def _is_ours(self, host: str, local: str) -> bool:
        return any(host == name + port for name in (*self._names, _in_url(local)) for port in self._ports)


def _in_url(name: str) -> str:
    """A host as in URLs and `Host` headers: IPv6 addresses in brackets, IPv4-mapped IPv6 addresses as IPv4."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or f"[{address}]")
    return str(address)
