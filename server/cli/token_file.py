"""The token as a file: how a server on another machine and its clients agree on one.

Never on the command line, where every user of the machine could read it.
"""

from __future__ import annotations

import os
from pathlib import Path

from layerfusion.engine.errors import UnreadableFile
from layerfusion.server.protocol import location


def read_token(path: Path) -> str:
    """The one line of the file, without the space around it.

    Raises:
        UnreadableFile: it cannot be read, or users other than its owner can.
    """
    try:
        with path.open(encoding="ascii") as file:
            if not location.is_secret(os.fstat(file.fileno())):
                raise UnreadableFile(f"“{path}” can be read by other users.", f"Run: chmod 600 {path}")
            return file.read(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not plain text"
        raise UnreadableFile(f"The token “{path}” cannot be read ({problem}).", "Give a file with one line.") from error
