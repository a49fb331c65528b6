"""The shape of the house: imports point down only, no two folders import each other, and importing does nothing."""

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

ROOTS = {package.__name__: Path(package.__path__[0]) for package in (engine, server, krita_plugin)}

FLOORS = [
    # A row is a floor; what stands on it imports only lower rows (and its own folder).
    # The engine.
    "engine.errors engine.importing engine.notices engine.prompt_syntax engine.spawning",
    "engine.options",
    "engine.image",
    "engine.sources engine.formats",
    "engine.request engine.stack",
    "engine.events engine.editing",
    "engine.transparency",
    "engine.fusion engine.models.catalog",
    "engine.models.runtime",
    "engine.backbones",
    "engine.diffusion",
    "engine.inspection engine.provenance engine.redrawing",
    "engine.pipeline engine.profiling engine.training.data",
    "engine.api engine.training",
    "engine.evaluation",
    # The server, down to the wire that needs nothing else of ours.
    "server.protocol",
    "server.errors server.config server.logs",
    "server.storage",
    "server.translate",
    "server.worker",
    "server.queue",
    "server.net server.client",
    "server.cli",
    "server.__main__",
    # The plugin, from what Krita has to what it shows.
    "plugin.bundled plugin.translation plugin.images plugin.packed_pixels",
    "plugin.qt plugin.text plugin.shortcuts plugin.steps plugin.scratch plugin.colours plugin.layer_names",
    "plugin.strokes plugin.server_words plugin.notice_words",
    "plugin.layout plugin.preferences plugin.psd_file plugin.handshake",
    "plugin.jobs plugin.history_entry plugin.thumbnails",
    "plugin.interfaces plugin.nodes plugin.server_link plugin.job_store plugin.launcher plugin.widgets plugin.pending",
    "plugin.server_address",
    "plugin.settings plugin.landing plugin.kept_layers plugin.psd_record plugin.settings_dialog plugin.style_dialog",
    "plugin.completion",
    "plugin.other_foregrounds plugin.style_row plugin.style_book",
    "plugin.fields plugin.job_panel plugin.picks_panel plugin.keys plugin.views plugin.choosing plugin.history_strip",
    "plugin.variants plugin.variants_row plugin.queue_list plugin.drawing_buttons plugin.picture_browser",
    "plugin.progress plugin.kept_copies",
    "plugin.groups",
    "plugin.layer_selection plugin.history_records plugin.variant_sets",
    "plugin.psd_layers plugin.selections",
    "plugin.insertion plugin.exporting plugin.live_preview plugin.shown_layers",
    "plugin.document",
    "plugin.actions plugin.refusals",
    "plugin.delivery plugin.submitting plugin.failures plugin.history plugin.live plugin.typed plugin.stored_pictures",
    "plugin.elsewhere",
    "plugin.controller",
    "plugin.application",
    "plugin.docker",
    "plugin.extension",
]
"""What stands on a floor imports only from lower floors and from its own folder. A name stands for all below it; the
longest name decides."""

PLUGIN = "layerfusion.krita_plugin.layerfusion"

BUNDLED = {f"{PLUGIN}.{name}" for name in ("protocol", "websockets", "msgpack")}
"""Put into the plugin when it is assembled; not in the source tree."""

SIBLINGS = {
    "layerfusion.engine": {"engine"},
    "layerfusion.server": {"server", "engine"},
    "layerfusion.server.protocol": {"server"},
    "layerfusion.server.cli": {"server", "engine", "krita_plugin"},
    "layerfusion.krita_plugin": {"krita_plugin"},
}
"""Which of our folders a module may import; the longest name decides."""


def modules():
    """Every module of the installed package: name -> file."""
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


def longest(names, name):
    """The longest of some dotted names that is a name or stands above it, or None."""
    return max((one for one in names if name == one or name.startswith(f"{one}.")), key=len, default=None)


FLOOR = {
    (f"{PLUGIN}.{name.removeprefix('plugin.')}" if name.startswith("plugin.") else f"layerfusion.{name}"): number
    for number, row in enumerate(FLOORS)
    for name in row.split()
}
DOORS = {"layerfusion.engine", "layerfusion.engine.models", "layerfusion.server", "layerfusion.krita_plugin", PLUGIN}
"""Packages whose `__init__` says what they are, or, in Krita, starts everything."""


def test_imports_point_down():
    homeless = {name for name in MODULES if longest(FLOOR, name) is None} - DOORS - {"layerfusion.krita_plugin.package"}
    assert not homeless, "give them a floor"
    upwards = {
        (name, other)
        for name in MODULES.keys() - DOORS
        for other in imports(name) & MODULES.keys()
        if (here := longest(FLOOR, name)) and (there := longest(FLOOR, other)) and here != there
        if name.split(".")[1] == other.split(".")[1] and FLOOR[there] >= FLOOR[here]
    }
    assert not upwards


def test_no_two_folders_import_each_other():
    """Nor do more of them in a circle. The files at the top of `engine` and `server` are rooms of their own."""

    def room(name):
        return name if name.count(".") == 2 and MODULES[name].name != "__init__.py" else MODULES[name].parent

    graph = {}
    for name in MODULES:
        graph.setdefault(room(name), set()).update(room(other) for other in imports(name) & MODULES.keys())
    graphlib.TopologicalSorter({here: there - {here} for here, there in graph.items()}).prepare()


def test_no_module_imports_itself_by_a_detour():
    graph = {name: {other for other in imports(name) if other in MODULES} for name in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def test_packages_import_no_siblings():
    for name in MODULES:
        reached = {other.split(".")[1] for other in imports(name) if other.startswith("layerfusion.")}
        assert reached <= SIBLINGS[longest(SIBLINGS, name) or ""], name


def test_the_extra_for_training_is_needed_only_by_training():
    """Whoever installs the package without `[train]` can draw, serve and evaluate."""
    train, training = "layerfusion.server.cli.train", "layerfusion.engine.training"
    card = {f"layerfusion.engine.evaluation.{name}" for name in ("model_card", "alpha_measures", "see_through")}
    making = (train, training, *card)
    reached, waiting = {train}, [name for name in MODULES if not name.startswith(making)]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += (imports(name) & MODULES.keys()) - reached
    reached -= card
    assert f"{training}.classifier" in reached  # it names what the evaluation draws
    wanting = {name: {other.split(".")[0] for other in imports(name, at_once=True)} for name in reached}
    assert not {name for name, packages in wanting.items() if packages & {"scipy", "matplotlib"}}


def foreign_to(name, *, allowed):
    """What a module imports besides the standard library and what is allowed."""
    return {other for other in imports(name) if other.split(".")[0] not in allowed | sys.stdlib_module_names}


def absolute_imports_of_ours(tree):
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("layerfusion")
    ]


def test_the_wire_needs_the_standard_library_of_python_3_10_only():
    for name in MODULES:
        if name.startswith("layerfusion.server.protocol"):
            assert all(other.startswith("layerfusion.server.protocol") for other in foreign_to(name, allowed=set())), (
                name
            )
            tree = ast.parse(MODULES[name].read_text(encoding="utf-8"), feature_version=(3, 10))
            assert not absolute_imports_of_ours(tree), f"the plugin carries {name} elsewhere: import relatively"


def test_the_plugin_needs_only_what_krita_has_and_what_it_carries():
    for name in MODULES:
        if name.startswith(PLUGIN):
            foreign = foreign_to(name, allowed={"krita", "PyQt5", "PyQt6"})
            assert all(other == PLUGIN or other.startswith(f"{PLUGIN}.") for other in foreign), name
            tree = ast.parse(MODULES[name].read_text(encoding="utf-8"), feature_version=(3, 10))
            assert not absolute_imports_of_ours(tree), name


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
    "heavy": sorted(set(sys.modules) & {"torch", "diffusers", "transformers", "scipy", "psd_tools"}),
    "happened": happened,
    "threads": threading.active_count() - 1,
    "handlers": len(logging.getLogger().handlers),
    "environment": dict(os.environ) == environment,
}))
"""
LIGHT = [
    "layerfusion",
    "layerfusion.engine.api",
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
