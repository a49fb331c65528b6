"""`import layerfusion`: one name, nothing done, every name where its text says it is."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import layerfusion

FACE = Path(layerfusion.__file__)


def test_the_package_itself_is_two_files():
    assert {file.name for file in FACE.parent.iterdir() if file.is_file()} >= {"__init__.py", "py.typed"}
    if (FACE.parents[1] / "pyproject.toml").is_file():
        assert {file.name for file in FACE.parent.iterdir()} - {"__pycache__"} == {"__init__.py", "py.typed"}


def test_type_checkers_see_the_names_there_are_where_they_are():
    nodes = [node for node in ast.walk(ast.parse(FACE.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    typed = {
        alias.name: node.module for node in nodes for alias in node.names if node.module.startswith("layerfusion.")
    }
    assert {*typed, "__version__"} == set(layerfusion.__all__)
    for name, module in typed.items():
        assert getattr(layerfusion, name) is getattr(sys.modules[str(module)], name)
        assert module == f"layerfusion.{layerfusion._HOMES.get(name, 'engine.errors')}", name
    assert set(layerfusion._HOMES) <= set(layerfusion.__all__)
    assert set(layerfusion.__all__) <= set(dir(layerfusion))
    assert layerfusion.__version__.count(".") == 2


def test_a_name_it_does_not_have_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match="module 'layerfusion' has no attribute 'Layerfusion'"):
        _ = layerfusion.Layerfusion
    with pytest.raises(ImportError):
        from layerfusion import nothing  # noqa: F401


WATCH = """
import json, os, sys
read, opened = [], []
class Watched(dict):
    def __getitem__(self, name):
        read.append(name)
        return super().__getitem__(name)
    def get(self, name, default=None):
        read.append(name)
        return super().get(name, default)
    def __contains__(self, name):
        read.append(name)
        return super().__contains__(name)
os.environ = Watched(os.environ)
def watch(event, arguments):
    if event == "open" and set(str(arguments[1] or "")) & set("wax+"):
        opened.append(str(arguments[0]))
sys.addaudithook(watch)
before = set(sys.modules)
import layerfusion
new = set(sys.modules) - before
print(json.dumps({"new": sorted(new), "read": read, "opened": opened, "dir": len(dir(layerfusion))}))
"""


def test_importing_it_does_nothing_and_brings_nothing_along():
    """Not NumPy, not Pillow, none of our own modules; what that costs is a few hundredths of a second."""
    done = subprocess.run([sys.executable, "-B", "-c", WATCH], capture_output=True, text=True, check=True, timeout=60)
    seen = json.loads(done.stdout)
    foreign = [name for name in seen["new"] if name.partition(".")[0] not in sys.stdlib_module_names]
    assert foreign == ["layerfusion"]
    assert (seen["read"], seen["opened"]) == ([], [])
    assert seen["dir"] >= len(layerfusion.__all__)
    assert done.stderr == ""
