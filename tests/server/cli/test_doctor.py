"""`layerfusion doctor` survives an installation that ends the process which imports it."""

import sys

import pytest

from layerfusion.server.cli import doctor
from layerfusion.server.cli.console import CommandError


@pytest.mark.skipif(sys.platform == "win32", reason="a script without an extension is no program there")
@pytest.mark.parametrize(
    ("script", "words"),
    [("echo oops >&2; exit 3", r"ended with exit code 3 \(oops\)"), ("kill -9 $$", "ended with signal 9")],
)
def test_an_engine_that_ends_its_process_is_reported(tmp_path, monkeypatch, script, words):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    monkeypatch.setattr(doctor.sys, "executable", str(python))
    with pytest.raises(CommandError, match=f"Nothing can be drawn: .* {words}"):
        doctor._probe()
