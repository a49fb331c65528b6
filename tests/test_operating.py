"""The examples of docs/operating.md are what systemd, launchd, Windows, containers and our own command accept."""

import os
import plistlib
import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from layerfusion.server.cli.parser import build_parser
from layerfusion.server.net import health
from layerfusion.server.net.file_limit import _OTHERS

PAGE = (Path(__file__).parents[1] / "docs" / "operating.md").read_text("utf-8")
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def blocks(language):
    return re.findall(rf"^```{language}\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)


def parsed(words):
    """Check one command line as the command itself does, up to running it."""
    build_parser().parse_args([word.rstrip("/") if word.endswith("://") else word for word in words])


def test_every_command_line_is_understood(subtests):
    lines = re.findall(r"^    layerfusion (.+)$", PAGE, re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        with subtests.test(line):
            parsed(shlex.split(line))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("index", [0, 1])
def test_systemd_accepts_the_units(tmp_path, index):
    unit = blocks("ini")[index]
    program = tmp_path / "layerfusion"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    checked = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", unit, flags=re.MULTILINE)
    path = tmp_path / "layerfusion.service"
    path.write_text(checked)
    scope = "--system" if index == 0 else "--user"
    command = ["systemd-analyze", "verify", "--man=no", scope, str(path)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    about_ours = [line for line in done.stderr.splitlines() if "layerfusion" in line]
    assert not about_ours, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_units_start_the_server_as_it_can_be_started():
    for unit in blocks("ini"):
        (line,) = re.findall(r"^ExecStart=\S+/layerfusion (.+)$", unit, re.MULTILINE)
        parsed(line.split())


def test_the_unit_allows_the_files_that_its_connections_need():
    unit = blocks("ini")[0]
    connections = int(re.search(r"--connections (\d+)", unit)[1])
    assert int(re.search(r"LimitNOFILE=(\d+)", unit)[1]) >= 5 * connections + _OTHERS


def test_launchd_accepts_the_agent():
    agent = plistlib.loads(blocks("xml")[0].encode())
    assert agent["Label"] == "layerfusion"
    parsed(agent["ProgramArguments"][1:])


def test_the_windows_task_is_well_formed_and_starts_the_server():
    task = ElementTree.fromstring(blocks("xml")[1].encode())
    assert [child.tag.removeprefix(TASK) for child in task] == ["Triggers", "Principals", "Settings", "Actions"]
    assert task.findtext(f"{TASK}Principals/{TASK}Principal/{TASK}RunLevel") == "LeastPrivilege"
    words = task.findtext(f"{TASK}Actions/{TASK}Exec/{TASK}Arguments").split()
    parsed(words)


def test_the_container_runs_without_root_and_with_tls():
    (file,) = blocks("dockerfile")
    lines = [line.split(maxsplit=1) for line in file.splitlines()]
    known = ["FROM", "RUN", "COPY", "USER", "VOLUME", "ENV", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"]
    assert {name for name, _ in lines} <= set(known)
    named = dict(lines)
    assert named["USER"] != "root"
    words = [word for part in ("ENTRYPOINT", "CMD") for word in re.findall(r'"([^"]*)"', named[part])]
    assert "--tls-cert" in words
    parsed(words[1:])
    parsed(re.findall(r'"([^"]*)"', named["HEALTHCHECK"])[1:])


def test_the_figures_on_the_page_are_those_of_the_code():
    assert f"less than {health.FREE_BYTES // 2**20} MB free" in PAGE
    assert f"for {'three' if health.STARTING_SECONDS == 180 else '?'} minutes" in PAGE
    assert f"{_OTHERS}." in PAGE
    source = (Path(health.__file__).with_name("monitor.py")).read_text("utf-8")
    names = set(re.findall(r'(?:gauge|counter|Metric)\(\s*"(\w+)"', source))
    assert names == {name.removeprefix("layerfusion_") for name in re.findall(r"`(layerfusion_\w+)", PAGE)}
