"""Files in the current folder or on PYTHONPATH that are named like Python's modules are not run and break nothing.

The server of the other tests in this folder, with its worker and its exports, also runs in a folder full of such files.
"""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import layerfusion
from layerfusion import engine, server
from layerfusion.engine.spawning import SAFE_PATH, spawning
from layerfusion.server.__main__ import prefer_pythons_own_modules, replaces_pythons_own
from traps import set_traps

SCRIPT = """
import sys
from layerfusion.server.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""The command script that pip installs."""


def command(script, *arguments, flags=(), **options):
    return subprocess.run(
        [sys.executable, *flags, str(script), *arguments], capture_output=True, text=True, timeout=100, **options
    )


@pytest.fixture
def script(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "layerfusion").write_text(SCRIPT)
    return tmp_path / "bin" / "layerfusion"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_commands_import_nothing_from_the_current_folder(script, folder):
    marker = set_traps(folder)
    for arguments in (("--version",), ("models", "show", "tiny")):
        done = command(script, *arguments, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
    module = command("-m", "layerfusion.server", "--version", flags=["-P"], cwd=folder)
    assert (module.returncode, module.stdout) == (0, f"layerfusion {layerfusion.__version__}\n")
    assert not marker.exists(), marker.read_text()


def test_folders_on_pythonpath_replace_no_module_of_python(script, folder):
    """This holds from the command's first line on.

    Imports before it are Python's own, such as `import re` in the scripts of pip before 25.2, or the finder of an
    editable installation. Therefore the test runs without `site`.
    """
    marker = set_traps(folder, ("types", "json", "re", "enum", "server", "engine/__init__", "logging/__init__"))
    (folder / "mine.py").write_text("")
    beside = [str(Path(layerfusion.__file__).parents[1]), *filter(os.path.isdir, sys.path)]
    script.write_text(f"import sys\nsys.path += {beside!r}\n{SCRIPT}")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = command(script, "--version", flags=["-S"], env=environment, cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert not marker.exists(), marker.read_text()

    asking = "import mine, os; print(repr(os.environ['PYTHONPATH']), sys.path[-1])"
    script.write_text(
        f"import sys\nsys.path += {beside!r}\nfrom layerfusion.server.__main__ import prefer_pythons_own_modules\n"
        f"prefer_pythons_own_modules()\n{asking}\n"
    )
    done = command(script, flags=["-S"], env=environment, cwd=folder.parent)
    assert done.stdout == f"'' {folder}\n", "what else it holds is found, and other processes are not told of it"


def test_a_folder_that_replaces_no_module_stays_on_the_path(tmp_path, monkeypatch):
    harmless, package, compiled = (tmp_path / name for name in ("harmless", "package", "compiled"))
    (harmless / "json").mkdir(parents=True)  # a folder without __init__.py never comes before a module
    (harmless / "server.py").write_text("")
    (harmless / "types.txt").write_text("")
    set_traps(package, ["json/__init__"])
    compiled.mkdir()
    (compiled / "types.cpython-311-x86_64-linux-gnu.so").write_text("")
    assert [replaces_pythons_own(str(path)) for path in (harmless, package, compiled)] == [False, True, True]
    assert not replaces_pythons_own(str(tmp_path / "none"))
    monkeypatch.setattr(sys, "path", [str(harmless), str(package), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(harmless), str(package)]))
    prefer_pythons_own_modules()
    assert (sys.path[0], sys.path[-1]) == (str(harmless), str(package))
    assert os.environ["PYTHONPATH"] == str(harmless)


POOL = """
import sys
from layerfusion.engine.spawning import spawning

def double(number):
    return 2 * number

if __name__ == "__main__":
    with spawning() as context, context.Pool(1) as pool:
        print(pool.map(double, [21]))
"""


def test_processes_import_nothing_from_the_current_folder(script, folder, monkeypatch):
    """The processes that build training data, evaluate and draw are all started this way."""
    marker = set_traps(folder)
    script.write_text(POOL)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    done = command(script, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "[42]\n"), done.stderr
    assert not marker.exists(), marker.read_text()


def test_no_other_code_starts_processes():
    """Exceptions are `spawning`, which starts them safely, three programs (export, import, and the probe of `doctor`),
    and those of `benchmark`: two that time a whole process, and the busy programs beside which it times a job."""
    roots = [Path(package.__file__ or "").parent for package in (engine, server)]
    starting = re.compile(
        r"get_context|set_start_method|Popen|subprocess\.run|create_subprocess|ProcessPoolExecutor\(\)"
    )
    found = {file.name for root in roots for file in root.rglob("*.py") if starting.search(file.read_text("utf-8"))}
    assert found == {"spawning.py", "export_process.py", "import_process.py", "doctor.py"} | {
        "delivery.py",
        "starting.py",
        "warm.py",
    }
    assert '[sys.executable, "-I", "-c", _LOOP]' in (roots[1] / "cli" / "warm.py").read_text("utf-8")
    for name in ("export_process.py", "import_process.py"):
        assert '"-P", "-m"' in (roots[1] / "worker" / name).read_text("utf-8")


def test_the_module_runs_nothing_of_the_current_folder_nor_do_its_children(folder):
    """`python -m` searches the current folder first; processes that are started later inherit what forbids it."""
    marker = set_traps(folder, ("torch", "numpy", "msgpack", "websockets", "platformdirs"))
    done = command("-m", "layerfusion.server", "models", "show", "tiny", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert not marker.exists(), marker.read_text()
    child = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; print(sys.path[0])'], check=True)"
    )
    script = folder / "start.py"
    script.write_text(f"from layerfusion.server.__main__ import keep_the_current_folder_out as keep\nkeep()\n{child}")
    done = command(script, cwd=folder)
    assert done.stdout.strip() not in ("", str(folder))


def test_processes_that_are_started_at_the_same_time_are_all_safe():
    inside, safe = threading.Barrier(4), []

    def start():
        inside.wait()
        for _ in range(200):
            with spawning():
                time.sleep(0)
                safe.append(os.environ.get(SAFE_PATH))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(safe) == {"1"}
