"""Signals that stop a server. For Windows, a stand-in for kernel32 is used."""

import asyncio
import os
import signal
import sys
import threading

import pytest

from layerfusion.server.net.signals import console_closing, stopping


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill means something else there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_stops_and_handlers_are_put_back(number):
    async def scenario():
        stopped = asyncio.Event()
        with stopping(stopped.set):
            os.kill(os.getpid(), number)
            await asyncio.wait_for(stopped.wait(), 10)

    inherited = signal.signal(number, signal.default_int_handler)  # SIGHUP may be ignored, as under nohup
    try:
        asyncio.run(scenario())
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, inherited)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_server_under_nohup_outlives_its_terminal(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def scenario():
            stopped = asyncio.Event()
            with stopping(stopped.set):
                assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

        asyncio.run(scenario())
    finally:
        signal.signal(signal.SIGHUP, before)


class Kernel:
    def __init__(self):
        self.handlers = []

    def SetConsoleCtrlHandler(self, handler, add):
        (self.handlers.append if add else self.handlers.remove)(handler)


@pytest.mark.parametrize("event", [2, 5, 6])
def test_closing_the_console_stops_the_server_and_waits(event):
    kernel, stopped, ended = Kernel(), threading.Event(), threading.Event()
    with console_closing(stopped.set, ended, kernel):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(kernel.handlers[0](event)))
        thread.start()
        assert stopped.wait(10)
        assert thread.is_alive()
        ended.set()
        thread.join(10)
        assert answers == [1]
    assert kernel.handlers == []


def test_ctrl_c_is_handled_by_its_signal_only():
    kernel, stopped = Kernel(), threading.Event()
    with console_closing(stopped.set, threading.Event(), kernel):
        assert kernel.handlers[0](0) == 0
    assert not stopped.is_set()
