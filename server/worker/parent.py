"""Ends a child process when the process that started it has ended in any way, so that no orphan keeps the card busy.

A worker in the middle of a long step reads nothing from its pipe, and so does not notice that the server was killed.
Linux kills it at once, by the parent-death signal. Elsewhere, and as a second line, a thread waits for the parent.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Arrange that this process ends when its parent does. Call it first of all.

    Args:
        parent: process id of the parent, which may have ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(1)  # it ended before
    server = multiprocessing.parent_process()
    if server is not None:

        def wait() -> None:
            server.join()
            os._exit(1)

        threading.Thread(target=wait, name="layerfusion-parent", daemon=True).start()
