"""The users of a server, and the file that keeps the digests of their tokens.

The owner is the user who started the server; the owner's token is in the runtime file. Further users are for machines
that several artists share: each has a token of their own, sees only their own jobs, and has limits of their own.

    {"version": 1, "users": [{"name": "ada", "token_sha256": "…", "admin": false, "waiting_jobs": 8, …}]}

A token has 256 random bits, so that a plain SHA-256 of it cannot be guessed: no salt or slow hash is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import InvalidRequest, UnreadableFile, UnwritableFile
from layerfusion.server.protocol import location

_VERSION = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MARK = "@"
"""Begins the key of a named user; names and the owner's keys do not have it at that place."""
OF_NAMED_USERS = f"{_MARK}[^{_MARK}]*"
"""Pattern of SQLite's GLOB for the keys of named users. One of the owner's may begin with two marks."""


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may use the server.

    Attributes:
        name: 1 to 32 lower-case letters, digits, dots, underscores and hyphens; empty for the owner.
        admin: whether the user sees and cancels the jobs of all users, and may ask for figures about the server.
        waiting_jobs: most waiting jobs; None is the server's limit.
        upload_bytes: most bytes of uploads in an hour; None is the server's limit.
        connections: most connections at the same time; None is the server's limit.
        token_sha256: SHA-256 of the token, so that what was granted to an old token can be told apart; empty for the
            owner, whose token is as old as the server.
    """

    name: str
    admin: bool = False
    waiting_jobs: int | None = None
    upload_bytes: int | None = None
    connections: int | None = None
    token_sha256: str = field(default="", repr=False)

    def key(self, identity: str) -> str:
        """Whom the queue, its limits and the list of jobs take for one client.

        Of a named user it is the user, on whatever machine and under whatever identity, so that a further identity
        gives no further turn. Of the owner it is the identity of the program. No identity makes the key of a named
        user.
        """
        if self.name:
            return f"{_MARK}{self.name}"
        return f"{_MARK}{identity}" if identity.startswith(_MARK) else identity

    def may_see(self, key: str) -> bool:
        """Whether a job of the client `key` is this user's own, or the user sees all jobs."""
        return self.admin or key == self.key("")


OWNER = User(name="", admin=True)


@dataclass(frozen=True, kw_only=True)
class Account(User):
    """A named user, as the file has it.

    Attributes:
        created: when the user was added, in seconds since 1970.
    """

    created: float

    def user(self) -> User:
        return User(**{each.name: getattr(self, each.name) for each in fields(User)})


class BrokenUsers(UnreadableFile):
    """The file of the users cannot be used. It was not changed, and no named user can connect."""

    code = "broken_users"


class Users:
    """The named users in a file, and the owner.

    A running server looks at the file again whenever it was written: a new user can connect at once, and a revoked one
    no more. A file that cannot be read or trusted admits no named user.

    Args:
        path: the file, which need not exist.
        owner_token: the owner's token; None admits no owner, which is for programs that change the file only.
    """

    def __init__(self, path: Path, owner_token: str | None = None) -> None:
        self.path = path
        self._owner = None if owner_token is None else digest(owner_token)
        self._stamp: object = None
        self._accounts: dict[str, Account] = {}

    def accounts(self) -> dict[str, Account]:
        """The named users by name.

        Raises:
            BrokenUsers: the file cannot be read, others can read or write it, or it is not understood.
        """
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                stamp = status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode, status.st_uid
                if stamp != self._stamp:
                    self._accounts = {}
                    self._stamp = None
                    if not location.is_secret(status):
                        raise BrokenUsers(
                            f"Other users of this machine can read or write “{self.path}”.",
                            f"Look who is in it, then run: chmod 600 {self.path}",
                        )
                    self._accounts = _parse(self.path, file.read())
                    self._stamp = stamp
        except FileNotFoundError:
            self._accounts, self._stamp = {}, None
        except OSError as error:
            raise BrokenUsers(f"“{self.path}” cannot be read ({error.strerror or error}).") from error
        return self._accounts

    def by_token(self, token: str) -> User | None:
        """The user with this token; None if there is none. The time that it takes does not depend on the token.

        Raises:
            BrokenUsers: see `accounts`; not for the owner's token.
        """
        given, found = digest(token), None
        if self._owner is not None and hmac.compare_digest(given, self._owner):
            return OWNER
        for account in self.accounts().values():
            if hmac.compare_digest(given, account.token_sha256):
                found = account.user()
        return found

    def by_name(self, name: str) -> User | None:
        """The user of this name, with the present limits; None after the user was revoked.

        Raises:
            BrokenUsers: see `accounts`.
        """
        if name == OWNER.name:
            return OWNER
        account = self.accounts().get(name)
        return None if account is None else account.user()

    def add(self, user: User) -> str:
        """Add a user, and return the new token, which nothing can show again.

        Raises:
            InvalidRequest: the name is taken or not allowed.
            BrokenUsers, UnwritableFile: the file cannot be used.
        """
        if not _NAME.fullmatch(user.name):
            raise InvalidRequest(
                f"“{user.name:.60}” cannot be a user's name.",
                "Use 1 to 32 lower-case letters, digits, dots, underscores and hyphens.",
            )
        accounts = self.accounts()
        if user.name in accounts:
            raise InvalidRequest(
                f"There is a user “{user.name}” already.", "Revoke the token first, or take another name."
            )
        token = secrets.token_urlsafe(32)
        new = Account(**{**asdict(user), "token_sha256": digest(token)}, created=time.time())
        self._write([*accounts.values(), new])
        return token

    def revoke(self, name: str) -> None:
        """Remove a user.

        Raises:
            InvalidRequest: there is no such user.
            BrokenUsers, UnwritableFile: the file cannot be used.
        """
        accounts = self.accounts()
        if name not in accounts:
            raise InvalidRequest(f"There is no user “{name:.60}”.", "“layerfusion token list” shows them.")
        self._write(account for account in accounts.values() if account.name != name)

    def _write(self, accounts: Iterable[Account]) -> None:
        content = json.dumps({"version": _VERSION, "users": [asdict(account) for account in accounts]}, indent=1)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(self.path, content)
        except OSError as error:
            raise UnwritableFile(
                f"“{self.path}” cannot be written ({error.strerror or error}).", "Choose another folder with --folder."
            ) from error


def digest(secret: str) -> str:
    """SHA-256 of a token or another random secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def write_secret(path: Path, content: str) -> None:
    """Write a file that only its owner can read: atomically, and never through a link.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _parse(path: Path, content: bytes) -> dict[str, Account]:
    try:
        values = json.loads(content)
        if not isinstance(values, dict) or set(values) != {"version", "users"} or values["version"] != _VERSION:
            raise ValueError("it is of another version")
        accounts = [_account(each) for each in values["users"]]
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenUsers(
            f"“{path}” is not understood ({error}).", "Move it away, and give every user a token again."
        ) from error
    found = {account.name: account for account in accounts}
    if len(found) != len(accounts):
        raise BrokenUsers(f"“{path}” has a user twice.", "Remove one of them.")
    return found


def _account(values: Any) -> Account:
    """
    Raises:
        ValueError, TypeError: a field is missing, unknown or wrong.
    """
    account = Account(**values)
    if not isinstance(account.name, str) or not _NAME.fullmatch(account.name):
        raise ValueError("a name is not allowed")
    if not isinstance(account.token_sha256, str) or not _DIGEST.fullmatch(account.token_sha256):
        raise ValueError(f"the token of {account.name} is no SHA-256")
    if not isinstance(account.admin, bool) or not _is_number(account.created):
        raise ValueError(f"a field of {account.name} is wrong")
    for limit in (account.waiting_jobs, account.upload_bytes, account.connections):
        if limit is not None and (not _is_number(limit) or not isinstance(limit, int) or limit < 0):
            raise ValueError(f"a limit of {account.name} is no whole number")
    return account


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
