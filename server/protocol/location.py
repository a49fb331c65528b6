"""The runtime file, in which the running server writes how to reach it. Both sides use this module to find it.

The file is JSON, only its owner can read it, and it contains the token:

    {"url": "ws://127.0.0.1:8737/", "token": "…", "pid": 4711, "version": "0.1.0", "protocol": "1.0", "certificate": ""}

It is in the user's state folder and not in `XDG_RUNTIME_DIR`, because the server and the painting program may be
started from different sessions (for example ssh and a desktop), which do not share the latter.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from .errors import InvalidMessage
from .fields import Count, Name
from .schema import Length, Record

if TYPE_CHECKING:
    import ssl

VARIABLE = "LAYERFUSION_RUNTIME"
"""Environment variable with the path of another file."""

ELSEWHERE = 0
"""In place of the process id of a server on another machine."""

Pem = Annotated[str, Length(0, 65_536)]


@dataclass(frozen=True, kw_only=True)
class Runtime(Record):
    """The content of the runtime file: how to reach one running server.

    Attributes:
        url: URL of the websocket.
        token: the token for `Authorization: Bearer <token>`; it is a secret.
        pid: process id of the server; `ELSEWHERE` if it is on another machine, and the user has named it.
        version: version of the server program.
        protocol: "major.minor" of the server's protocol.
        certificate: the server's certificate in PEM, which clients trust if the URL begins with wss; empty for ws.
    """

    url: Name
    token: Name
    pid: Count
    version: Name
    protocol: Name
    certificate: Pem = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server is on another machine."""
        return self.pid == ELSEWHERE

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context for a connection; None without TLS. It trusts the certificate; if the server is on this
        machine, for any host name.

        Raises:
            ssl.SSLError: the certificate is damaged.
        """
        if not self.url.startswith("wss:"):
            return None
        import ssl  # here, because a painting program without this module can still connect without TLS

        context = ssl.create_default_context(cadata=self.certificate or None)
        if self.certificate:
            # On this machine only the server has the private key of the certificate. Elsewhere it may be that of a
            # whole company, which has signed other servers', too.
            context.check_hostname = self.is_elsewhere
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def __repr__(self) -> str:
        return f"Runtime(url={self.url!r}, pid={self.pid}, version={self.version!r}, protocol={self.protocol!r})"


def path() -> Path:
    """The path of this user's runtime file, which need not exist."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return folder / "layerfusion" / "server.json"


def read(where: Path | None = None) -> Runtime | None:
    """Read the runtime file: this user's, or the one named.

    Returns:
        None if it is missing, damaged or readable by other users, or if its process has ended.
    """
    try:
        with (where or path()).open(encoding="utf-8") as file:
            if not is_secret(os.fstat(file.fileno())):
                return None
            runtime = Runtime.from_map(dict(json.load(file)))
    except (OSError, ValueError, TypeError, InvalidMessage):
        return None
    return runtime if runtime.is_elsewhere or is_running(runtime.pid) else None


def write(runtime: Runtime, where: Path | None = None) -> None:
    """Write the runtime file atomically: this user's, or the one named.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    target = where or path()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(runtime.to_map(), file)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove(runtime: Runtime) -> None:
    """Delete the runtime file, unless another server has replaced it."""
    with contextlib.suppress(OSError):
        if read() == runtime:
            path().unlink()


def is_secret(status: os.stat_result) -> bool:
    """Whether only this user can read and write a file. A reader could use the server; a writer could get prompts."""
    if sys.platform == "win32":
        return True  # other users cannot read the folder, and the mode has no meaning there
    return status.st_uid == os.getuid() and not status.st_mode & 0o077


def is_running(pid: int) -> bool:
    if sys.platform == "win32":
        return _is_running_on_windows(pid)
    if pid == 0:
        return False  # `os.kill` with 0 means our own process group
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _is_running_on_windows(pid: int) -> bool:
    """Ask Windows itself, because `os.kill(pid, 0)` sends Ctrl-C there."""
    import ctypes

    query_limited_information, still_active = 0x1000, 259
    kernel32 = cast(Any, ctypes).windll.kernel32
    kernel32.OpenProcess.restype = ctypes.c_void_p
    kernel32.GetExitCodeProcess.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)
    handle = kernel32.OpenProcess(query_limited_information, False, pid & 0xFFFFFFFF)
    if not handle:
        return False
    try:
        code = ctypes.c_ulong()
        return bool(kernel32.GetExitCodeProcess(handle, ctypes.byref(code))) and code.value == still_active
    finally:
        kernel32.CloseHandle(handle)
