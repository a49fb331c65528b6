"""The log: time and level in each line, no prompts, files that do not grow for ever."""

import logging
import os
import re
import subprocess
import sys

import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server import logs

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) (worker: )?[\w.]+: .+")
SECRET = "my unannounced character"


def formatted(error, **options):
    try:
        raise error
    except Exception:
        record = logging.LogRecord("layerfusion.x", logging.ERROR, "", 1, "job %s", ("a",), sys.exc_info())
        return logs.PrivateFormatter(**options).format(record)


def test_lines_have_time_level_and_source():
    record = logging.LogRecord("layerfusion.x", logging.WARNING, "", 1, "job %s", ("a",), None)
    assert LINE.fullmatch(logs.PrivateFormatter("worker").format(record))


def test_a_traceback_quotes_no_prompt(subtests):
    for error in [
        ValueError(SECRET),
        KeyError(SECRET),
        UnicodeEncodeError("ascii", SECRET, 0, 1, SECRET),
        TypeError(SECRET),
        Exception(SECRET),
        UnwritableFile(SECRET),
    ]:
        with subtests.test(type(error).__name__):
            text = formatted(error)
            assert SECRET not in text
            assert type(error).__name__ in text
            assert "in formatted" in text, "it says where"


def test_what_cannot_be_a_prompt_is_shown_and_causes_are_named():
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as inner:
            raise RuntimeError("CUDA error: an illegal memory access") from inner
    except RuntimeError as error:
        text = formatted(error)
    assert "CUDA error: an illegal memory access" in text
    assert "KeyError (its text is left out)" in text
    assert SECRET not in text


PROGRAM = """
import logging, os, subprocess, sys
from pathlib import Path
from layerfusion.server import logs

logs.MOST_BYTES = 2000
with logs.into_file(Path(sys.argv[1]), "info"):
    logging.getLogger("layerfusion").info("hello")
    os.write(2, b"a library says this\\n")
    subprocess.run([sys.executable, "-c", "import sys; print('and a child this', file=sys.stderr)"])
    for number in range(int(sys.argv[2])):
        logging.getLogger("layerfusion").warning("line %d", number)
print("back again", file=sys.stderr)
"""


def run(path, lines):
    command = [sys.executable, "-c", PROGRAM, str(path), str(lines)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)


def test_everything_on_the_error_stream_goes_into_the_file(tmp_path):
    done = run(tmp_path / "log", 0)
    text = (tmp_path / "log").read_text()
    assert LINE.fullmatch(text.splitlines()[0])
    assert "a library says this\n" in text
    assert "and a child this\n" in text
    assert done.stderr.strip() == "back again"


def test_files_are_rotated_and_only_the_owner_can_read_them(tmp_path):
    run(tmp_path / "log", 1000)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1", "log.2", "log.3", "log.4", "log.5"]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert "line 999\n" in (tmp_path / "log").read_text()
    if sys.platform != "win32":
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110
def test_a_full_disk_stops_nothing():
    assert run("/dev/full", 50).stderr.strip() == "back again"


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UnwritableFile, match="log"), logs.into_file(tmp_path / "no" / "log"):
        pass


def test_the_websockets_library_never_logs_requests():
    """At its level DEBUG it writes their headers, with the token."""
    root, library = logging.getLogger(), logging.getLogger("websockets")
    before = root.handlers[:], root.level, library.level
    try:
        logs.start(level="debug")
        assert library.getEffectiveLevel() == logging.WARNING
    finally:
        root.handlers[:], root.level, library.level = before
        logging.getLogger().manager._clear_cache()
