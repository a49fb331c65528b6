"""The shape of the house: imports point down only, and importing does nothing."""

import ast
import graphlib
import importlib.util
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from layerfusion import engine, krita_plugin, server

ROOTS = {package.__name__: Path(package.__file__).parent for package in (engine, server, krita_plugin)}

FLOORS = [
    # The engine: numpy, then files, then torch as pure functions, then models, then the loop, then the job.
    ("layerfusion.engine.errors", 0),
    ("layerfusion.engine.image.geometry", 0),
    ("layerfusion.engine.image.layers", 0),
    ("layerfusion.engine.image.compositing", 0),
    ("layerfusion.engine.image.shadow_light", 0),
    ("layerfusion.engine.options.checks", 0),
    ("layerfusion.engine.image.resampling", 1),
    ("layerfusion.engine.image.placement", 1),
    ("layerfusion.engine.options.field", 0),
    ("layerfusion.engine.options.fusion", 0),
    ("layerfusion.engine.options.docs_page", 1),
    ("layerfusion.engine.sources", 1),
    ("layerfusion.engine.image.upscaling", 1),
    ("layerfusion.engine.diffusion.tiled_refinement", 5),
    ("layerfusion.engine.profiling.flop_counter", 2),
    ("layerfusion.engine.request", 1),
    ("layerfusion.engine.editing", 1),
    ("layerfusion.engine.events", 1),
    ("layerfusion.engine.formats", 1),
    ("layerfusion.engine.fusion.attention", 3),
    ("layerfusion.engine.fusion.attach", 3),
    ("layerfusion.engine.fusion", 2),
    ("layerfusion.engine.transparency", 3),
    ("layerfusion.engine.training", 6),  # makes and measures what the pipeline draws with
    ("layerfusion.engine.models", 3),
    ("layerfusion.engine.diffusion", 4),
    ("layerfusion.engine.diffusion.previews", 4),
    ("layerfusion.engine.inspection.records", 1),
    ("layerfusion.engine.inspection.recorder", 5),
    ("layerfusion.engine.diffusion.source_constraints", 4),
    ("layerfusion.engine.pipeline", 5),
    ("layerfusion.engine.profiling.cost_model", 5),
    # The numbers: measures on pictures, then what draws the pictures they are taken from.
    ("layerfusion.engine.evaluation.statistics", 0),
    ("layerfusion.engine.evaluation.regions", 0),
    ("layerfusion.engine.evaluation.measures", 0),
    ("layerfusion.engine.evaluation", 6),
    # The server: the wire, then processes and files, then the conversation, then sockets, then argv.
    ("layerfusion.server.protocol", 10),
    ("layerfusion.server.errors", 11),
    ("server.lock", 11),
    ("layerfusion.server.worker.process", 11),
    ("layerfusion.server.storage.database", 11),
    ("layerfusion.server.worker.supervisor", 11),
    ("layerfusion.server.storage.layer_store", 11),
    ("layerfusion.server.translate", 11),
    ("layerfusion.server.config", 11),
    ("layerfusion.server.cli.environment", 11),
    ("layerfusion.server.net.rate_limits", 11),
    ("layerfusion.server.net.tls", 11),
    ("layerfusion.server.net.outbox", 12),
    ("layerfusion.server.net.session", 12),
    ("layerfusion.server.queue.fair_queue", 12),
    ("layerfusion.server.queue.job", 12),
    ("layerfusion.server.queue.quarantine", 12),
    ("layerfusion.server.queue.queue_status", 12),
    ("layerfusion.server.queue.estimates", 12),
    ("layerfusion.server.storage.retention", 12),
    ("layerfusion.server.worker.export_process", 12),
    ("layerfusion.server.queue.scheduler", 12),
    ("layerfusion.server.net.request_handler", 13),
    ("layerfusion.server.net.connection", 13),
    ("layerfusion.server.net.access", 13),
    ("layerfusion.server.net.handshakes", 13),
    ("layerfusion.server.net.signals", 13),
    ("layerfusion.server.net.app", 13),
    ("layerfusion.server.client.client", 13),
    ("layerfusion.server.client.remote_pipeline", 13),
    ("layerfusion.server.cli.console", 14),
    ("layerfusion.server.cli", 14),
    ("layerfusion.server.cli.main", 14),
    ("layerfusion.server.__main__", 14),
    # The plugin: what is bundled, then one thing each, then the controller, then what Krita sees.
    ("layerfusion.krita_plugin.layerfusion.qt", 20),
    ("layerfusion.krita_plugin.layerfusion.bundled", 20),
    ("layerfusion.krita_plugin.layerfusion.server_link", 21),
    ("layerfusion.krita_plugin.layerfusion.document", 21),
    ("layerfusion.krita_plugin.layerfusion.nodes", 21),
    ("layerfusion.krita_plugin.layerfusion.groups", 21),
    ("layerfusion.krita_plugin.layerfusion.layer_selection", 21),
    ("layerfusion.krita_plugin.layerfusion.actions", 21),
    ("layerfusion.krita_plugin.layerfusion.images", 21),
    ("layerfusion.krita_plugin.layerfusion.jobs", 21),
    ("layerfusion.krita_plugin.layerfusion.interfaces", 21),
    ("layerfusion.krita_plugin.layerfusion.job_store", 21),
    ("layerfusion.krita_plugin.layerfusion.text", 21),
    ("layerfusion.krita_plugin.layerfusion.widgets", 21),
    ("layerfusion.krita_plugin.layerfusion.launcher", 21),
    ("layerfusion.krita_plugin.layerfusion.controller", 22),
    ("layerfusion.krita_plugin.layerfusion.widgets", 23),
    ("layerfusion.krita_plugin.layerfusion.docker", 23),
    ("layerfusion.krita_plugin.layerfusion.extension", 23),
    ("layerfusion.krita_plugin.package", 24),
]
PACKAGES_OF_PACKAGES = {"engine", "server", "krita_plugin", "layerfusion.krita_plugin.layerfusion"}
"""Their __init__ holds a docstring, or starts everything: it may import all below and nothing imports it."""

BUNDLED = {f"layerfusion.krita_plugin.layerfusion.{name}" for name in ("protocol", "websockets", "msgpack")}
"""Put into the plugin when it is assembled; not in the source tree."""

SIBLINGS = {
    "engine": {"engine"},
    "server": {"server", "engine"},
    "layerfusion.server.protocol": {"server"},
    "layerfusion.server.cli.plugin": {"server", "engine", "krita_plugin"},
    "layerfusion.server.cli.doctor": {"server", "engine", "krita_plugin"},
    "krita_plugin": {"krita_plugin"},
}
"""Which of our packages a module may import; the longest prefix decides."""


def modules():
    """Every module of the installed packages: name -> file."""
    found = {}
    for package, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join((package, *parts))
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


@cache
def imports(name, at_once=False):
    """The absolute names a module imports, at its top or inside functions, but not for type checkers only.

    With `at_once`, only those it imports when it is itself imported.
    """
    path = MODULES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    skipped = set()
    for node in ast.walk(tree):
        later = at_once and isinstance(node, ast.FunctionDef)
        if later or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            skipped.update(id(inner) for statement in node.body for inner in ast.walk(statement))
    found = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = importlib.util.resolve_name("." * node.level + base, package)
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in MODULES or whole in BUNDLED else base)
    return frozenset(found - {name})


def ours(name):
    return name.split(".")[0] in ROOTS


def longest(table, name):
    """The entry of the longest prefix of a dotted name, or None."""
    matching = [prefix for prefix in table if name == prefix or name.startswith(f"{prefix}.")]
    return table[max(matching, key=len)] if matching else None


def floor(name):
    """The floor a module stands on; None if the table does not know it."""
    return 99 if name in PACKAGES_OF_PACKAGES else longest(dict(FLOORS), name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_down(name):
    here = floor(name)
    assert here is not None, "add it to FLOORS"
    near = {other for other in imports(name) & set(MODULES) if other.split(".")[0] == name.split(".")[0]}
    assert not {other for other in near if (floor(other) or 0) > here}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_packages_import_no_siblings(name):
    reached = {other.split(".")[0] for other in imports(name) if ours(other)}
    assert reached <= longest(SIBLINGS, name)


def test_no_module_imports_itself_by_a_detour():
    graph = {name: {other for other in imports(name) if other in MODULES} for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def test_the_extra_for_training_is_needed_only_by_training():
    """Whoever installs the package without `[train]` can draw, serve and evaluate."""
    train, training = "layerfusion.server.cli.train", "layerfusion.engine.training"
    reached, waiting = {train}, [name for name in MODULES if not name.startswith((train, training))]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += (imports(name) & set(MODULES)) - reached
    assert f"{training}.recogniser" in reached  # it names what the evaluation draws
    wanting = {name: {other.split(".")[0] for other in imports(name, at_once=True)} for name in reached}
    assert not {name for name, packages in wanting.items() if packages & {"scipy", "matplotlib"}}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("layerfusion.server.protocol")])
def test_the_wire_needs_the_standard_library_of_python_3_10_only(name):
    foreign = {other for other in imports(name) if other.split(".")[0] not in sys.stdlib_module_names}
    assert all(other.startswith("layerfusion.server.protocol") for other in foreign)
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"), feature_version=(3, 10))
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and ours(node.module or "")]
    assert not levels, "the plugin carries these files under another name: import relatively"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("layerfusion.krita_plugin.layerfusion")])
def test_the_plugin_needs_only_what_krita_has_and_what_it_carries(name):
    allowed = {"krita", "PyQt5", "PyQt6"} | sys.stdlib_module_names
    foreign = {other for other in imports(name) if other.split(".")[0] not in allowed}
    inside = {"layerfusion.krita_plugin.layerfusion"} | {
        other for other in foreign if other.startswith("layerfusion.krita_plugin.layerfusion.")
    }
    assert foreign <= inside
    source = MODULES[name].read_text(encoding="utf-8")
    assert not {
        node.level
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level == 0 and ours(node.module or "")
    }
    ast.parse(source, feature_version=(3, 10))


WATCH = """
import json, logging, os, sys, threading
environment, happened = dict(os.environ), []
QUIET = ("subprocess.Popen", "os.system", "os.mkdir", "os.remove", "os.rename", "socket.bind", "socket.connect")
def watch(event, arguments):
    if event in QUIET or (event == "open" and set(str(arguments[1] or "")) & set("wax+")):
        happened.append(f"{event} {arguments[:1]}")
sys.addaudithook(watch)
for name in sys.argv[1:]:
    __import__(name)
print(json.dumps({
    "heavy": sorted(set(sys.modules) & {"torch", "diffusers", "transformers"}),
    "happened": happened,
    "threads": threading.active_count() - 1,
    "handlers": len(logging.getLogger().handlers),
    "environment": dict(os.environ) == environment,
}))
"""
LIGHT = [
    "layerfusion.server.net.app",
    "layerfusion.server.cli.main",
    "layerfusion.engine.request",
    "layerfusion.engine.formats",
    "layerfusion.engine.models.catalog.registry",
    "layerfusion.krita_plugin.package",
]


@pytest.mark.parametrize("name", LIGHT)
def test_importing_is_light_and_does_nothing(name):
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCH, name], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "heavy": [],
        "happened": [],
        "threads": 0,
        "handlers": 0,
        "environment": True,
    }
    assert done.stderr == ""
