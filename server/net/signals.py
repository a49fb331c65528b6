"""How a server is told to stop: Ctrl-C, SIGTERM, Ctrl-Break, or Windows closing its console."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

CLOSED_SECONDS = 4.5
"""Windows ends the process 5 seconds after its console was closed, sooner if the handler returns."""

_CTRL_CLOSE, _CTRL_LOGOFF, _CTRL_SHUTDOWN = 2, 5, 6


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Have `stop` called in the running loop by whatever asks for it, until the block ends. Main thread only."""
    loop = asyncio.get_running_loop()
    ended = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    numbers = [signal.SIGINT, signal.SIGTERM, *([signal.SIGBREAK] if sys.platform == "win32" else [])]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    with console_closing(lambda: loop.call_soon_threadsafe(stop), ended):
        try:
            yield
        finally:
            ended.set()
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def console_closing(stop: Callable[[], object], ended: threading.Event, kernel: Any = None) -> Iterator[None]:
    """Call `stop`, in a thread of Windows', when the console is closed or the user logs off; nothing elsewhere.

    Args:
        stop: asks for the end.
        ended: set when it is over; the console waits for it.
        kernel: kernel32; None takes the one of Windows.
    """
    if kernel is None:
        if sys.platform != "win32":
            yield
            return
        kernel = ctypes.windll.kernel32

    def on_event(event: int) -> bool:
        if event not in (_CTRL_CLOSE, _CTRL_LOGOFF, _CTRL_SHUTDOWN):
            return False  # Ctrl-C and Ctrl-Break are signals
        stop()
        ended.wait(CLOSED_SECONDS)
        return True

    kind = ctypes.WINFUNCTYPE if sys.platform == "win32" else ctypes.CFUNCTYPE
    handler = kind(ctypes.c_int, ctypes.c_uint)(on_event)
    kernel.SetConsoleCtrlHandler(handler, True)
    try:
        yield
    finally:
        kernel.SetConsoleCtrlHandler(handler, False)
