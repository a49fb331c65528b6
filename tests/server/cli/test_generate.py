"""`layerfusion generate` from beginning to end, on the embedded model."""

import contextlib
import io
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from commands import CUT_OUT, drawing, run
from layerfusion.engine import formats
from layerfusion.engine.events import Finished, Notice, Progress
from layerfusion.engine.formats.images import encode
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Role
from layerfusion.engine.stack import LayerStack
from layerfusion.server.cli import generate


@pytest.fixture(scope="module")
def no_network():
    """A context in which this process cannot use a network. The hook cannot be taken away again, only told to rest."""
    refusing = []

    def refuse(event, arguments):
        if refusing and event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
            raise RuntimeError(f"{event} {arguments}")

    @contextlib.contextmanager
    def refused():
        refusing.append(True)
        try:
            yield
        finally:
            refusing.clear()

    sys.addaudithook(refuse)
    return refused


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


OFFLINE = """
import sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
from layerfusion.server.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""A command from its first import without a network."""


def test_generate_draws_without_a_network_and_says_what_it_wrote(capsys, folder, no_network):
    (folder / "mine.png").write_bytes(encode(CUT_OUT))
    arguments = drawing(**{"--keep-foreground": "mine.png", "--size": "96x80", "--steps": "2", "--out": "out/"})
    with no_network():
        code, out, err = run(capsys, *arguments)
    assert code == 0, err
    notice, *stages = err.splitlines()
    assert notice.startswith("Embedded demo model: it draws at ")
    assert "drawing …" in stages
    assert len(stages) == len(set(stages)), "one line a stage"

    stack = formats.load("out/")
    roles = [Role.BACKGROUND, Role.FOREGROUND, Role.SHADOW, Role.LIGHT, Role.BLENDED]
    assert [layer.role for layer in stack] == roles
    kept = stack.layers[1]
    assert np.array_equal(kept.pixels, CUT_OUT)
    assert kept.offset == (3, 5)
    lines = out.splitlines()
    assert lines[3].endswith("90x70 at 3,5  normal")
    assert lines[5].startswith("out/  96x80 px, 5 layers, ")


def test_without_a_network_nothing_is_reached(no_network):
    """Or the test above would show nothing."""
    with no_network(), pytest.raises(RuntimeError, match=r"socket\.getaddrinfo"):
        socket.create_connection(("localhost", 80), 5)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("on_terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_and_a_line_a_stage_elsewhere(monkeypatch, on_terminal):
    stack = LayerStack(name="s", size=Size(1, 1), layers=())
    stream = Terminal() if on_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    first, *drawing = [Progress(stage="drawing", step=step, total=4, eta=4.0 - step) for step in range(5)]
    notice = Notice(code="prompt_truncated", text="The model reads only the beginning.")
    loading = Progress(stage="loading_model", step=0, total=1)
    assert generate.watch([loading, first, notice, *drawing, Finished(stack=stack)]) is stack
    if on_terminal:
        before, after = stream.getvalue().split(f"{notice.text}\n")
        assert before.endswith("\r"), "the notice has a line of its own, and the bar is drawn anew below it"
        assert "loading the model |" in before
        assert "drawing |" in after
        assert "/4" in after
        assert "\n" not in before + after
    else:
        assert stream.getvalue() == f"loading the model …\ndrawing …\n{notice.text}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_while_drawing_leaves_nothing_behind(folder):
    arguments = drawing(**{"--steps": "150"})
    process = subprocess.Popen(
        [sys.executable, "-c", OFFLINE, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        # a shell's background job ignores Ctrl-C, and so would its children: tests may run in one
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line == "drawing …\n":
            break
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert (process.wait(60), rest) == (130, "layerfusion: Stopped.\n")
    assert not list(folder.iterdir())
