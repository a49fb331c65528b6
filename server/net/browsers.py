"""Browsers that were let in: one-time codes, and the two secrets that a signed-in browser has.

A browser cannot send a token in a header when it opens a page or a websocket, and a token in a URL would be in its
history. So a program with the token asks the server for a code, and the page exchanges it, once, for

    a cookie    HttpOnly, SameSite=Strict: no script can read it, and no other site can make the browser send it
    a key       which the page keeps in its local storage and sends along

Neither is enough alone. Cookies do not tell ports apart (RFC 6265, section 8.5): the browser also sends the cookie to
servers of other users on other ports of this machine. Local storage does tell them apart, but scripts can read it.

The digests of both are in a file, so that a browser stays signed in when the server starts again.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from layerfusion.server.protocol import location
from layerfusion.server.storage.users import Users, digest, write_secret

logger = logging.getLogger(__name__)

CODE_SECONDS = 300.0
"""A code is valid for so long, because a person may have to type it on another machine."""

_CODES = 4
"""Most codes of one user that wait to be used."""

_SIGNED_IN = 16
"""Most browsers of one user. Both are limits for each user, so that nobody signs others out."""

IDLE_SECONDS = 14 * 24 * 3600.0
"""A browser is signed out when it was not used for so long."""

_TOUCH_SECONDS = 3600.0
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Without letters and digits that look alike."""


@dataclass(frozen=True)
class Browser:
    """One signed-in browser.

    Attributes:
        user: the user's name; empty for the owner.
        token: SHA-256 of the user's token at the sign-in: a revoked or replaced token signs out.
        cookie, key: SHA-256 of its two secrets.
        used: time of its last use, in seconds since 1970, to the hour.
    """

    user: str
    token: str
    cookie: str
    key: str
    used: float


@dataclass(frozen=True)
class SignedIn:
    """The secrets of a browser, which only the browser keeps."""

    cookie: str
    key: str


class Browsers:
    """The codes that are valid, and the browsers that are signed in.

    Args:
        users: the users.
        path: the file of the signed-in browsers.
        now: the clock, in seconds since 1970.
        clock: a clock that is never set, in seconds, for the codes.
    """

    def __init__(
        self,
        users: Users,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._path = path
        self._now = now
        self._clock = clock
        self._codes: dict[str, tuple[str, float]] = {}  # SHA-256 -> user, end; oldest first
        self._browsers = {browser.cookie: browser for browser in _read(path)}
        self.sign_ins = 0

    def new_code(self, user: str) -> str:
        """A code with which one browser can be signed in as `user`, once: 16 letters and digits, or 78 random bits."""
        code = "".join(secrets.choice(_LETTERS) for _ in range(16))
        waiting = [known for known, (name, _) in self._codes.items() if name == user]
        if len(waiting) >= _CODES:
            del self._codes[waiting[0]]
        self._codes[digest(code)] = user, self._clock() + CODE_SECONDS
        return "-".join(code[at : at + 4] for at in range(0, 16, 4))

    def sign_in(self, code: str, cookie: str = "") -> SignedIn | None:
        """Exchange a code, which is then used up.

        Args:
            code: as a person may type it, in any case and with or without hyphens and spaces.
            cookie: that of this browser, if it has one.

        Returns:
            None if the code is wrong, used or too old, or if somebody else is signed in: with a link, a stranger could
            otherwise make an artist draw under the stranger's name.
        """
        user, end = self._codes.pop(digest("".join(filter(str.isalnum, code)).upper()), ("", 0.0))
        other = self._browsers.get(digest(cookie))
        if self._clock() >= end or (other is not None and self._is_valid(other) and other.user != user):
            return None
        if (present := self._users.by_name(user)) is None:  # revoked since the code was made
            return None
        made = SignedIn(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        if other is not None:
            del self._browsers[other.cookie]
        browser = Browser(user, present.token_sha256, digest(made.cookie), digest(made.key), self._now())
        self._browsers[browser.cookie] = browser
        theirs = [each for each in self._browsers.values() if each.user == user]
        if len(theirs) > _SIGNED_IN:
            del self._browsers[min(theirs, key=lambda each: each.used).cookie]
        self._write()
        self.sign_ins += 1
        return made

    def user(self, cookie: str, key: str) -> str | None:
        """The name of the user who is signed in with both secrets; None if nobody is.

        Raises:
            BrokenUsers: the file of the users cannot be read.
        """
        browser = self._browsers.get(digest(cookie))
        if browser is None or not hmac.compare_digest(digest(key), browser.key) or not self._is_valid(browser):
            return None
        if self._now() - browser.used > _TOUCH_SECONDS:
            self._browsers[browser.cookie] = replace(browser, used=self._now())
            self._write()
        return browser.user

    def sign_out(self, cookie: str) -> None:
        """Forget a browser."""
        if self._browsers.pop(digest(cookie), None) is not None:
            self._write()

    def _is_valid(self, browser: Browser) -> bool:
        fresh = abs(self._now() - browser.used) < IDLE_SECONDS
        user = self._users.by_name(browser.user)
        return fresh and user is not None and user.token_sha256 == browser.token

    def _write(self) -> None:
        content = json.dumps([asdict(browser) for browser in self._browsers.values()], indent=1)
        try:
            write_secret(self._path, content)
        except OSError as error:  # they are signed out when the server starts again
            logger.warning("signed-in browsers could not be written: %s", error.strerror or error)


def _read(path: Path) -> list[Browser]:
    """What an earlier server wrote. Nothing of a file that is damaged or not secret: browsers can sign in again."""
    try:
        with path.open(encoding="utf-8") as file:
            if not location.is_secret(os.fstat(file.fileno())):
                return []
            found = [Browser(**each) for each in json.load(file)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, RecursionError) as error:
        logger.warning("signed-in browsers could not be read: %s", error)
        return []
    texts = all(isinstance(text, str) for each in found for text in (each.user, each.token, each.cookie, each.key))
    return found if texts and all(isinstance(each.used, (int, float)) for each in found) else []
