"""What SECURITY.md promises about the source as a whole, and that every test it names exists."""

import ast
import re
from pathlib import Path

from layerfusion import engine, krita_plugin, server

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for package in (engine, server, krita_plugin) for path in Path(package.__path__[0]).rglob("*.py"))
RUNS_WHAT_IT_READS = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
RUNNERS = {"torch.load", "torch.jit.load", "eval", "exec", "os.system", "yaml.load"}
NAMES_OF_RUNNERS = {name.rpartition(".")[2] for name in RUNNERS}


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_no_source_opens_what_could_run(subtests):
    """No pickle in any of its clothes, no `eval`, no shell."""
    for path in SOURCES:
        with subtests.test(path.relative_to(ROOT).as_posix()):
            for node in ast.walk(tree(path)):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                    assert not RUNS_WHAT_IT_READS & {name.partition(".")[0] for name in names}
                if isinstance(node, ast.Call):
                    if getattr(node.func, "attr", getattr(node.func, "id", "")) in NAMES_OF_RUNNERS:
                        assert ast.unparse(node.func) not in RUNNERS
                    flags = {
                        keyword.arg: ast.unparse(keyword.value)
                        for keyword in node.keywords
                        if keyword.arg in ("allow_pickle", "shell")
                    }
                    assert flags.get("allow_pickle", "False") == "False"
                    assert flags.get("shell", "False") == "False"


def test_what_goes_between_processes_is_bytes():
    """`Connection.send` and `recv` would pickle; `send_bytes` and `recv_bytes` do not."""
    for name in ("supervisor", "process"):
        path = Path(server.__file__).parent / "worker" / f"{name}.py"
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        called = {ast.unparse(call.func) for call in calls}
        assert not {call for call in called if re.search(r"pipe\.(send|recv)$", call)}


NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def test_the_page_names_a_test_for_every_threat():
    rows = [line for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
    assert len(rows) >= 15
    assert not [row for row in rows if "`tests/" not in row]


def test_every_test_the_page_names_exists(subtests):
    for file, test in NAMED:
        with subtests.test(file=file, test=test):
            nodes = list(ast.walk(tree(ROOT / file)))
            names = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
            names |= {ast.unparse(target) for node in nodes if isinstance(node, ast.Assign) for target in node.targets}
            assert test in names
