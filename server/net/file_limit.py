"""Raises the number of files that the process may open, where many connections need it."""

from __future__ import annotations

import sys

from layerfusion.server.errors import CannotServe

_OTHERS = 256
"""Files for the store, the workers, exports and libraries."""


def allow_files(connections: int) -> None:
    """Allow as many open files as `connections` websockets, their handshakes and the server itself need.

    Raises:
        CannotServe: the system allows fewer.
    """
    if sys.platform == "win32":
        return  # sockets are not files there
    import resource

    needed = 5 * connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise CannotServe(
            f"{connections} connections need {needed} open files; this user may open {hard} (“ulimit -Hn”). "
            f"Allow more, or choose --connections {max(1, (hard - _OTHERS) // 5)}."
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (OSError, ValueError) as error:
            raise CannotServe(f"{needed} open files cannot be allowed ({error}).") from error
