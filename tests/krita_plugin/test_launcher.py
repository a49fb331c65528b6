import json
import queue
import stat
import sys

import pytest

SECONDS = 100


@pytest.fixture
def launcher(plugin):
    from krita_layerfusion import launcher

    return launcher


def test_the_program_is_the_one_that_installed_the_plugin(launcher, tmp_path):
    program = tmp_path / "my programs" / "layerfusion"
    program.parent.mkdir()
    program.touch()
    (tmp_path / "installed.json").write_text(json.dumps({"executable": str(program)}))
    assert launcher.command(tmp_path / "installed.json") == [str(program), "serve"]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"executable": 3}', '{"executable": "/not/there"}'])
def test_without_a_valid_file_it_is_the_program_on_the_path(launcher, tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "installed.json").write_text(text)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher.command(tmp_path / "installed.json") == ["layerfusion", "serve"]
    program = tmp_path / "layerfusion"
    program.write_text("#!/bin/sh\n")
    program.chmod(stat.S_IRWXU)
    if sys.platform != "win32":
        assert launcher.command(tmp_path / "installed.json") == [str(program), "serve"]


@pytest.mark.skipif(sys.platform == "win32", reason="quotes differently")
def test_the_command_can_be_pasted_into_a_terminal(launcher):
    assert launcher.as_text(["/a b/layerfusion", "serve"]) == "'/a b/layerfusion' serve"


def test_the_end_of_the_server_is_reported_with_its_last_line(launcher):
    told = queue.Queue()
    launcher.start(
        [sys.executable, "-c", "print('first'); print('the port is taken\\n'); raise SystemExit(3)"], told.put
    )
    assert told.get(timeout=SECONDS) == launcher.ServerExited(3, "the port is taken")


def test_variables_of_krita_are_not_passed_to_the_server(launcher, monkeypatch, tmp_path):
    told = queue.Queue()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LAYERFUSION_TEST", "kept")
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ['LAYERFUSION_TEST'])"
    launcher.start([sys.executable, "-c", code], told.put)
    assert told.get(timeout=SECONDS).last_line == "None kept"


def test_a_program_that_is_not_there_is_an_os_error(launcher, tmp_path):
    with pytest.raises(FileNotFoundError):
        launcher.start([str(tmp_path / "layerfusion"), "serve"], pytest.fail)


def test_starting_does_not_wait(launcher, tmp_path):
    """The program ends only after `start` has returned."""
    told, signal = queue.Queue(), tmp_path / "go on"
    code = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)"
    launcher.start([sys.executable, "-c", code, str(signal)], told.put)
    assert told.empty()
    signal.touch()
    assert told.get(timeout=SECONDS).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete open files")
def test_the_end_of_the_server_is_reported_even_if_its_log_was_deleted(launcher, monkeypatch, tmp_path):
    """A server may run for weeks, and systems delete old temporary files."""
    monkeypatch.setattr(launcher.tempfile, "tempdir", str(tmp_path))
    told, signal = queue.Queue(), tmp_path / "go on"
    code = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.02)"
    launcher.start([sys.executable, "-c", code, str(signal)], told.put)
    (log,) = tmp_path.glob("layerfusion-server-*.log")
    log.unlink()
    signal.touch()
    assert told.get(timeout=SECONDS) == launcher.ServerExited(0, "")
