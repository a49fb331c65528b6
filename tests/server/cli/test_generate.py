"""`layerfusion generate` from beginning to end, with the embedded model."""

import contextlib
import io
import json
import signal
import socket
import sys

import numpy as np
import pytest

from commands import CUT_OUT, drawing, run
from layerfusion.engine import formats
from layerfusion.engine.formats.images import encode
from layerfusion.engine.image.layers import Role
from layerfusion.engine.sources import MAX_SEED
from layerfusion.server.cli import generate
from layerfusion.server.cli.console import UsageError
from layerfusion.server.cli.main import main

pytestmark = pytest.mark.usefixtures("small_model")


@pytest.fixture(scope="module")
def no_network():
    """A context in which this process cannot use a network. Its audit hook cannot be removed, only switched off."""
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


def test_generate_draws_without_a_network_and_names_the_written_files(capsys, folder, no_network):
    (folder / "mine.png").write_bytes(encode(CUT_OUT))
    arguments = drawing(**{"--keep-foreground": "mine.png", "--size": "96x80", "--steps": "2", "--out": "out/"})
    with no_network():
        code, out, err = run(capsys, *arguments)
    assert code == 0, err
    centred, notice, *stages = err.splitlines()
    assert centred.startswith("“mine” is 90x70 px and the canvas 96x80 px: it lies in the middle, at 3,5.")
    assert notice.startswith("This demo model draws at ")
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
    """Without this, the test above would prove nothing."""
    with no_network(), pytest.raises(RuntimeError, match=r"socket\.getaddrinfo"):
        socket.create_connection(("localhost", 80), 5)


class Impatient(io.StringIO):
    """A stream that raises KeyboardInterrupt as soon as the drawing begins."""

    def write(self, text):
        written = super().write(text)
        if self.getvalue().endswith("drawing …\n"):
            signal.raise_signal(signal.SIGINT)
        return written


def test_ctrl_c_while_drawing_leaves_nothing_behind(monkeypatch, folder):
    monkeypatch.setattr(sys, "stderr", Impatient())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = main(drawing(**{"--steps": "150"}))
    finally:
        signal.signal(signal.SIGINT, before)
    rest = sys.stderr.getvalue().partition("drawing …\n")[2]
    assert (code, rest) == (130, "layerfusion: Stopped.\n")
    assert not list(folder.iterdir())


def test_variants_have_consecutive_seeds_and_are_listed_as_json(capsys, folder):
    code, out, err = run(capsys, *drawing(), "--seed", "7", "--variants", "2", "--masks", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert out.count("\n") == 1
    assert told["model"] == "tiny"
    assert [each["code"] for each in told["notices"]] == ["demo_model"]
    assert [(each["file"], each["seed"]) for each in told["pictures"]] == [("a-1.psd", 7), ("a-2.psd", 8)]
    assert [each["more_files"] for each in told["pictures"]] == [["a-1.masks.png"], ["a-2.masks.png"]]
    for each in told["pictures"]:
        stack = formats.load(each["file"])
        assert [layer["role"] for layer in each["layers"]] == [layer.role.value for layer in stack]
        assert (each["width"], each["height"]) == (64, 64)
    assert "picture 2 of 2, seed 8" in err.splitlines()

    code, out, err = run(capsys, *drawing(**{"--out": "b.psd"}), "--seed", "8", "--quiet")
    assert (code, out) == (0, "b.psd  seed 8\n")
    assert err == told["notices"][0]["text"] + "\n"
    again, second = formats.load("b.psd"), formats.load("a-2.psd")
    assert [a.pixels.tobytes() for a in again] == [b.pixels.tobytes() for b in second]


def test_seeds_are_random_or_begin_at_the_given_one():
    assert generate.choose_seeds(7, 3) == [7, 8, 9]
    assert generate.choose_seeds(MAX_SEED, 1) == [MAX_SEED]
    firsts = {generate.choose_seeds(None, 2)[0] for _ in range(9)}
    assert len(firsts) > 1
    assert all(0 <= first < 2**32 for first in firsts)
    with pytest.raises(UsageError, match="begin lower"):
        generate.choose_seeds(MAX_SEED, 2)


def test_a_sampler_that_does_not_suit_the_model_is_named_before_it_is_loaded(capsys, folder):
    code, _, err = run(capsys, *drawing(), "--sampler", "LCM")
    assert code == 2
    assert "Choose one of: euler, ddim, dpmpp_2m, unipc" in err
    assert not list(folder.iterdir())
