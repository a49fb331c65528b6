"""The check that nobody else can read or change the folder of a server, its list of jobs and its layers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile


def check_private(path: Path) -> None:
    """Check that a file or folder, if it exists, belongs to this user and that no other user may use it.

    Raises:
        UnwritableFile: it belongs to somebody else, or its mode gives others access.
    """
    if sys.platform == "win32":
        return  # the folder is inside the user's own, and modes have no meaning there
    try:
        status = path.stat()
    except OSError:
        return  # the caller reports what it cannot use
    if status.st_uid != os.getuid():
        raise UnwritableFile(
            f"{path} belongs to another user (id {status.st_uid}).",
            f"Choose another folder with --folder, or take it over: sudo chown -R $(id -u) “{path}”.",
        )
    if status.st_mode & 0o077:
        raise UnwritableFile(
            f"Other users can use {path} (its mode is {status.st_mode & 0o777:03o}).",
            f"Make it private: chmod -R go-rwx “{path}”.",
        )
