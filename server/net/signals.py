"""Stops the server on Ctrl-C, SIGTERM, SIGHUP or Ctrl-Break, or when Windows closes its console."""

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
"""How long the handler waits, in seconds. Windows kills the process 5 seconds after its console was closed, or when the
handler returns."""

_CTRL_CLOSE, _CTRL_LOGOFF, _CTRL_SHUTDOWN = 2, 5, 6


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` in the running event loop on a signal, until the block ends. Use it in the main thread only."""
    loop = asyncio.get_running_loop()
    ended = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    elif signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # with `nohup`, the server outlives its terminal
        numbers.append(signal.SIGHUP)
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
    """On Windows, call `stop` when the console is closed or the user logs off. Elsewhere, do nothing.

    Args:
        stop: tells the server to stop; it is called on a thread that Windows makes.
        ended: is set when the server has stopped; the handler waits for it.
        kernel: kernel32; None is that of Windows. Tests pass their own.
    """
    if kernel is None:
        if sys.platform != "win32":
            yield
            return
        kernel = ctypes.windll.kernel32

    def on_event(event: int) -> bool:
        if event not in (_CTRL_CLOSE, _CTRL_LOGOFF, _CTRL_SHUTDOWN):
            return False  # Ctrl-C and Ctrl-Break also come as signals
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
