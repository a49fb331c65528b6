"""Runs all scenarios once in a real Krita under Xvfb, and one in a second Krita. The tests read the reports."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from layerfusion.engine import formats
from layerfusion.krita_plugin import package
from our_document import our_document

IMPORTER = Path("/usr/share/krita/pykrita/plugin_importer/plugin_importer.py")
DRIVER = Path(__file__).with_name("driver")
PLUGINS = "[python]\nenable_layerfusion=true\nenable_layerfusion_driver=true\n"
SCENARIOS = "LAYERFUSION_KRITA_SCENARIOS"
TOGETHER = "start_together_with_krita"
"""The scenario for which Krita is started with another setting."""
LIMIT = 5400
"""Seconds for the whole session. It takes nine minutes on an idle machine, four times as long on a busy one."""


@pytest.fixture(scope="session")
def plugin_zip(tmp_path_factory):
    return package.build(tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="session")
def home(plugin_zip, tmp_path_factory):
    """A home folder in which the plugin and its driver are installed.

    The environment variable LAYERFUSION_KRITA_HOME is the path of one to use again. Krita's first start in a new one
    takes half a minute longer.
    """
    folder = Path(os.environ.get("LAYERFUSION_KRITA_HOME") or tmp_path_factory.mktemp("home"))
    resources = folder / ".local/share/krita"
    for path in (resources / "pykrita", folder / "run", folder / ".config"):
        path.mkdir(parents=True, exist_ok=True)
    (folder / "run").chmod(0o700)
    subprocess.run([sys.executable, IMPORTER, plugin_zip, resources], check=True, timeout=600)
    shutil.copytree(DRIVER, resources / "pykrita", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def session(home, tmp_path_factory):
    """(folder of the report's files, report) of a Krita that ran all scenarios.

    LAYERFUSION_KRITA_SCENARIOS names scenarios, with spaces between them, to run just these; the tests of the others
    are skipped. LAYERFUSION_KRITA_ROOT is the root of a system with another Krita, see versions.sh.
    """
    folder = tmp_path_factory.mktemp("krita")
    for name in ("ours.psd", "ours.ora"):
        formats.save(our_document(), folder / name)
    wanted = os.environ.get(SCENARIOS, "").replace(TOGETHER, "start_server")
    return folder, report_of_krita(home, folder, wanted)


@pytest.fixture(scope="session")
def started_together(home, tmp_path_factory):
    """What a Krita found that starts the server by itself. A server that was killed has left its runtime file."""
    wanted = os.environ.get(SCENARIOS, "").split()
    if wanted and TOGETHER not in wanted:
        pytest.skip(f"not among the scenarios in {SCENARIOS}")
    folder = tmp_path_factory.mktemp("together")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = {"url": "ws://127.0.0.1:9/", "token": "left", "pid": ended.pid, "version": "0.1.0", "protocol": "1.5"}
    runtime = folder / "server.json"
    runtime.touch(0o600)
    runtime.write_text(json.dumps({**left, "certificate": ""}))
    report = report_of_krita(home, folder, TOGETHER, settings="[layerfusion]\nstarts_server=yes\n")
    assert report["exit code"] == 0
    assert "error" not in report[TOGETHER], report[TOGETHER]
    assert report[TOGETHER]["script errors"] == []
    return report[TOGETHER]


def report_of_krita(home, folder, scenarios, settings=""):
    """Run a Krita with the driver, and return its report.

    Args:
        home: the home folder.
        folder: where the report, its files and the server's runtime file are.
        scenarios: the names of those to run, with spaces between them; all if it is empty.
        settings: what Krita has saved of the plugin.
    """
    for autosave in home.rglob("*krita-*-autosave.kra"):
        autosave.unlink()  # Krita would ask about it at its start, and could not be closed
    (home / ".config/kritarc").write_text(f"{PLUGINS}{settings}")
    (folder / "bin").mkdir()
    (folder / "bin/layerfusion").symlink_to(Path(sysconfig.get_path("scripts"), "layerfusion"))
    environment = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PATH": f"/usr/bin:/bin:{folder / 'bin'}",
        "LANG": "C.UTF-8",
        # The server must add numbers in the same order as the tests' process, because rounding depends on the order.
        "OMP_NUM_THREADS": "1",
        **{name: value for name, value in os.environ.items() if name.startswith(("OPENBLAS_", "LAYERFUSION_KRITA_"))},
        SCENARIOS: scenarios,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "PYTHONFAULTHANDLER": "1",  # if Krita crashes, the log says which of our calls it was in
        "LAYERFUSION_DRIVER_FOLDER": str(folder),
        "LAYERFUSION_RUNTIME": str(folder / "server.json"),
    }
    root = os.environ.get("LAYERFUSION_KRITA_ROOT")
    elsewhere = [shutil.which("chroot") or "chroot", root] if root else []
    command = [*elsewhere, "xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", "krita", "--nosplash"]
    report, ends = folder / "report.json", []
    while not report.exists() and len(ends) < 3 and None not in ends:
        # Krita 5.1.5 aborts at its start now and then; on a busy machine, the X server may not be ready for it
        ends.append(run_krita(command, environment, folder))
    if not report.exists():
        words = (folder / "krita.log").read_text(errors="replace")[-3000:]
        pytest.fail(f"Krita wrote no report; exit codes {ends}:\n{words}")
    return {**json.loads(report.read_text("utf-8")), "exit code": ends[-1]}


def run_krita(command, environment, folder):
    """Run Krita until it ends or its time is over. Returns its exit code, or None."""
    with (folder / "krita.log").open("wb") as log:
        krita = subprocess.Popen(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
        )
        try:
            return krita.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(krita.pid, signal.SIGKILL)
            return None
        finally:
            stop_server(folder / "server.json")


def stop_server(runtime):
    if runtime.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(runtime.read_text())["pid"], signal.SIGTERM)


@pytest.fixture(scope="session")
def facts(session):
    """Get the results of one scenario from the report."""

    def of(scenario):
        folder, report = session
        found = report.get(scenario)
        if found is None and not report["all"] and scenario not in report["names"]:
            pytest.skip(f"not among the scenarios in {SCENARIOS}")
        if found is None:
            pytest.fail(f"Krita ended before “{scenario}”, see {folder / 'krita.log'}; exit code {report['exit code']}")
        if "error" in found:
            pytest.fail(f"{found['error']}\nThe docker said: {found['docker']}\nSee {folder}")
        return found

    return of
