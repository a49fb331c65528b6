"""Decides who may connect. Every HTTP request is checked here before it becomes a websocket or gets an answer.

There are three ways to show who one is, and a request may use only one of them:

    Authorization: Bearer <token>                           programs
    Sec-WebSocket-Protocol: layerfusion, layerfusion.token.<token in base64url>
                                                            pages of the allowed origins, whose browser sends no other
                                                            header; the server answers with “layerfusion” alone
    Cookie, and layerfusion.key.<key> in Sec-WebSocket-Protocol or the header X-Layerfusion-Key
                                                            pages that this server itself has served; see `browsers`
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers

from layerfusion.server.config import LOOPBACK
from layerfusion.server.net.browsers import Browsers
from layerfusion.server.storage.users import BrokenUsers, User, Users

logger = logging.getLogger(__name__)

SUBPROTOCOL = "layerfusion"
KEY_HEADER = "X-Layerfusion-Key"

_TOKEN = f"{SUBPROTOCOL}.token."
_KEY = f"{SUBPROTOCOL}.key."
_PROTOCOLS = "Sec-WebSocket-Protocol"


@dataclass(frozen=True)
class Refusal:
    """The answer to a request that is not allowed."""

    status: HTTPStatus
    text: str


_NOT_HERE = Refusal(HTTPStatus.MISDIRECTED_REQUEST, "This server answers to its own address only.\n")
_NO_PAGES = Refusal(HTTPStatus.FORBIDDEN, "Web pages may not connect.\n")
_NO_TOKEN = Refusal(HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")


class AccessPolicy:
    """The checks of `Host`, `Origin`, and the token, cookie or key, for one server.

    Args:
        port: the port on which the server listens.
        users: who may connect.
        browsers: the browsers that are signed in.
        origins: values of `Origin` that are allowed, besides the server's own.
        names: host names that are allowed in `Host`, besides those of loopback.
        encrypted: whether the server uses TLS, because then `Host` may omit port 443, otherwise port 80.

    Attributes:
        cookie: name of the cookie. It has the port, because browsers send cookies to all ports of a host.
    """

    def __init__(
        self,
        port: int,
        users: Users,
        browsers: Browsers,
        origins: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        *,
        encrypted: bool = False,
    ) -> None:
        self._ports = {f":{port}"} | ({""} if port == (443 if encrypted else 80) else set())
        self._names = {_in_url(name) for name in (*LOOPBACK, *names)}
        self._scheme = "https" if encrypted else "http"
        self._users = users
        self._browsers = browsers
        self._origins = origins
        self.cookie = f"__Host-layerfusion-{port}" if encrypted else f"layerfusion-{port}"

    def check_address(self, headers: Headers, local: str = "127.0.0.1") -> Refusal | None:
        """The refusal of a request to another host, or of another site's page; None if it is allowed.

        Each of the headers may occur only once, because different programs choose a different one of two.

        Args:
            headers: the headers of the request.
            local: the server's own IP address in this connection, which is always allowed in `Host`.
        """
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or not self._is_ours(hosts[0].lower(), local):  # DNS rebinding
            return _NOT_HERE
        if len(origins) > 1 or any(not self.is_own(headers) and origin not in self._origins for origin in origins):
            return _NO_PAGES
        return None

    def is_own(self, headers: Headers) -> bool:
        """Whether a request comes from a page that this server has served. Needs a checked `Host`."""
        return headers.get_all("Origin") == [f"{self._scheme}://{headers['Host'].lower()}"]

    def is_from_page(self, headers: Headers) -> bool:
        """Whether a request may come from a script of one of this server's pages, or from no browser. Other sites, and
        other ports of this host, are told apart by what the browser says of the request."""
        sites = headers.get_all("Sec-Fetch-Site")
        return (not headers.get_all("Origin") or self.is_own(headers)) and sites in ([], ["same-origin"])

    def user(self, headers: Headers, *, upgrade: bool = False) -> User | Refusal:
        """Who sends a request whose address was checked.

        Args:
            headers: the headers of the request.
            upgrade: whether it asks for a websocket.
        """
        try:
            user = self._user(headers, upgrade)
        except BrokenUsers as error:
            logger.error("nobody but the owner can connect: %s", error.code)
            user = None
        return _NO_TOKEN if user is None else user

    def cookie_of(self, headers: Headers) -> str:
        """The value of our cookie; empty if there is none, or several. Other servers on this host set cookies, too."""
        parts = [part.strip().partition("=") for header in headers.get_all("Cookie") for part in header.split(";")]
        found = [value for name, _, value in parts if name == self.cookie]
        return found[0] if len(found) == 1 else ""

    def _user(self, headers: Headers, upgrade: bool) -> User | None:
        authorizations = headers.get_all("Authorization")
        protocols = _protocols(headers) if upgrade else []
        tokens = [text.removeprefix(_TOKEN) for text in protocols if text.startswith(_TOKEN)]
        keys = [text.removeprefix(_KEY) for text in protocols if text.startswith(_KEY)]
        keys += [] if upgrade else headers.get_all(KEY_HEADER)
        if len(authorizations) + len(tokens) + len(keys) != 1:
            return None
        if authorizations:
            scheme, _, token = authorizations[0].partition(" ")
            return self._users.by_token(token) if scheme == "Bearer" else None
        if tokens:  # only for pages that have no other way
            elsewhere = headers.get_all("Origin") and not self.is_own(headers)
            return self._users.by_token(_decoded(tokens[0])) if elsewhere else None
        if not (self.is_own(headers) if upgrade else self.is_from_page(headers)):
            return None
        name = self._browsers.user(self.cookie_of(headers), keys[0])
        return None if name is None else self._users.by_name(name)

    def _is_ours(self, host: str, local: str) -> bool:
        return any(host == name + port for name in (*self._names, _in_url(local)) for port in self._ports)


def _protocols(headers: Headers) -> list[str]:
    return [text.strip() for header in headers.get_all(_PROTOCOLS) for text in header.split(",")]


def _decoded(text: str) -> str:
    """A token from base64url without padding, because a subprotocol may not have all characters of a token."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def _in_url(name: str) -> str:
    """A host as in URLs and `Host` headers: IPv6 addresses in brackets, IPv4-mapped IPv6 addresses as IPv4."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.lower()
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or f"[{address}]")
    return str(address)
