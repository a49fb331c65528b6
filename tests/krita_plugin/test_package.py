import ast
import configparser
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata, resources
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from layerfusion.krita_plugin import package
from layerfusion.krita_plugin.package import (
    PackageError,
    build,
)

CARRIED = ("protocol", "websockets", "msgpack")
IMPORTER = Path("/usr/share/krita/pykrita/plugin_importer/plugin_importer.py")


def contents(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def test_the_zip_is_named_by_the_version_and_small(plugin_zip):
    assert plugin_zip.name == f"layerfusion-krita-{metadata.version('layerfusion')}.zip"
    assert plugin_zip.stat().st_size < 450_000


def test_the_plugin_tells_the_server_its_version(plugin):
    from krita_layerfusion.handshake import VERSION

    assert metadata.version("layerfusion") == VERSION


def test_the_same_installation_gives_the_same_bytes(plugin_zip, tmp_path):
    again = build(tmp_path / "not" / "there" / "yet")
    assert again.read_bytes() == plugin_zip.read_bytes()
    assert list(again.parent.iterdir()) == [again], "nothing half-written stays behind"


def test_the_protocol_is_included_byte_for_byte(plugin_zip):
    found = {n.rpartition("/")[2]: d for n, d in contents(plugin_zip).items() if n.startswith("layerfusion/protocol/")}
    source = {
        i.name: i.read_bytes()
        for i in resources.files("layerfusion.server.protocol").iterdir()
        if i.name.endswith(".py")
    }
    assert found == source
    assert {"messages.py", "frames.py", "wire.py", "location.py", "errors.py"} <= found.keys()


@pytest.mark.parametrize("name", ["websockets", "msgpack"])
def test_the_included_packages_are_the_installed_sources_and_their_licence(plugin_zip, name):
    found = {n: d for n, d in contents(plugin_zip).items() if n.startswith(f"layerfusion/{name}/")}
    sources = {
        f"layerfusion/{file.as_posix()}": Path(str(file.locate())).read_bytes()
        for file in metadata.files(name)
        if file.parts[0] == name and file.suffix == ".py"
    }
    licences = {n for n in found if n.endswith(("LICENSE", "COPYING"))}
    assert {n: d for n, d in found.items() if n not in licences} == sources
    assert len(licences) == 1


def test_nothing_compiled_and_nothing_but_the_plugin_is_in_the_zip(plugin_zip):
    names = contents(plugin_zip).keys()
    assert {name.rpartition(".")[2] for name in names if "." in name} == {"py", "html", "json", "desktop", "action"}
    assert {name.split("/")[0] for name in names} == {"layerfusion", "layerfusion.desktop", "layerfusion.action"}
    assert "layerfusion/LICENSE" in names
    assert package.INSTALLED not in names, "whose computer would it be on?"


def test_the_desktop_file_names_the_package_and_its_manual(plugin_zip):
    found = contents(plugin_zip)
    desktop = configparser.ConfigParser()
    desktop.optionxform = str
    desktop.read_string(found["layerfusion.desktop"].decode())
    entry = desktop["Desktop Entry"]
    assert entry["X-KDE-Library"] == "layerfusion"
    assert entry["ServiceTypes"] == "Krita/PythonPlugin"
    assert f"layerfusion/{entry['X-Krita-Manual']}" in found


def test_krita_is_told_of_an_action_for_each_button(plugin, plugin_zip):
    from krita_layerfusion.shortcuts import ACTIONS, action_id

    root = ElementTree.fromstring(contents(plugin_zip)["layerfusion.action"])
    declared = {action.get("name"): action for action in root.iter("Action")}
    assert list(declared) == [action_id(name) for name in ("show", *ACTIONS)]
    assert {action.findtext("shortcut") for action in declared.values()} == {""}, "no key of the artist's is taken"


def test_a_file_changed_after_installation_is_refused(monkeypatch, tmp_path):
    class Changed(metadata.PackagePath):
        def locate(self):
            return tmp_path / "ext.py"

    (tmp_path / "ext.py").write_text("import os  # not what was installed")
    real = package._installed

    def changed(name):
        distribution = real(name)
        found: list[metadata.PackagePath] = list(distribution.files or ())
        for index, file in enumerate(found):
            if str(file) == "msgpack/ext.py":
                found[index] = Changed(file)
                found[index].hash, found[index].dist = file.hash, file.dist
        return SimpleNamespace(files=found, version=distribution.version)

    monkeypatch.setattr(package, "_installed", changed)
    with pytest.raises(PackageError, match=r"msgpack/ext\.py is not the file that msgpack installed.*force-reinstall"):
        build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_sub_folders_are_packed_with_all_below_them(monkeypatch, tmp_path):
    files = {
        "layerfusion.desktop": b"[Desktop Entry]",
        "layerfusion.action": b"<ActionCollection/>",
        "layerfusion/__init__.py": b"",
        "layerfusion/history/__init__.py": b"1",
        "layerfusion/history/pictures/strip.py": b"2",
        "layerfusion/live/help.html": b"3",
        "layerfusion/live/notes.txt": b"not packed",
        "layerfusion/live/__pycache__/x.cpython-311.pyc": b"not packed",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    real = resources.files
    monkeypatch.setattr(
        package.resources, "files", lambda name: tmp_path if name == "layerfusion.krita_plugin" else real(name)
    )
    found = package.assemble()
    ours = {name for name in found if not name.startswith(tuple(f"layerfusion/{n}/" for n in CARRIED))}
    assert ours - {"layerfusion/LICENSE"} == {name for name in files if not name.endswith((".txt", ".pyc"))}
    assert found["layerfusion/history/pictures/strip.py"] == b"2"
    zipped = build(tmp_path / "out")
    with zipfile.ZipFile(zipped) as archive:
        assert {"layerfusion/history/", "layerfusion/history/pictures/", "layerfusion/live/"} <= set(archive.namelist())


def test_in_a_checkout_the_installed_distribution_is_the_one_that_counts(monkeypatch, tmp_path, plugin_zip):
    """`layerfusion.egg-info` is found first if the current folder is on the path."""
    egg = tmp_path / "layerfusion.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: layerfusion\nVersion: 0.0.1\n")
    (egg / "SOURCES.txt").write_text("LICENSE\nlayerfusion/__init__.py\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert metadata.version("layerfusion") == "0.0.1", "it does come first"
    assert build(tmp_path / "out").read_bytes() == plugin_zip.read_bytes()


@pytest.mark.parametrize("name", ["layerfusion", "websockets", "msgpack"])
def test_a_distribution_without_its_licence_is_refused(monkeypatch, name):
    real = package._installed

    def bare(asked):
        if asked != name:
            return real(asked)
        return SimpleNamespace(files=[file for file in real(asked).files or () if "licenses" not in file.parts])

    monkeypatch.setattr(package, "_installed", bare)
    with pytest.raises(PackageError, match=f"The installed {name} has no licence.*--force-reinstall {name}"):
        package.assemble()


def test_what_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(metadata, "distributions", lambda name: ())
    with pytest.raises(PackageError, match="layerfusion is not installed"):
        package.assemble()


@pytest.mark.skipif(not IMPORTER.exists(), reason="Krita is not installed")
def test_kritas_importer_accepts_the_zip(plugin_zip, tmp_path):
    done = subprocess.run([sys.executable, IMPORTER, plugin_zip, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Imported plugin: LayerFusion" in done.stdout
    imported = {
        path.relative_to(tmp_path / "pykrita").as_posix(): path.read_bytes()
        for path in (tmp_path / "pykrita").rglob("*")
        if path.is_file()
    }
    imported["layerfusion.action"] = (tmp_path / "actions" / "layerfusion.action").read_bytes()
    assert imported == contents(plugin_zip)


def pythons():
    """This Python, and all others on this machine that a Krita bundle may have."""
    names = [sys.executable, *(shutil.which(f"python3.{minor}") for minor in range(10, 15))]
    pyenv = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.1[0-9].*/bin/python"))]
    # pyenv's shims are commands that may well refuse to start a Python
    return list(dict.fromkeys(name for name in [*names, *pyenv] if name and "shims" not in name))


IMPORT = """
import importlib.util, sys
from pathlib import Path
folder = Path(sys.argv[1])
spec = importlib.util.spec_from_file_location(
    "layerfusion", folder / "__init__.py", submodule_search_locations=[sys.argv[1]]
)
sys.modules["layerfusion"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["layerfusion"])
import layerfusion.controller, layerfusion.server_link
from layerfusion.bundled import WIRE
from layerfusion.protocol.messages import Cancel
cancel = Cancel(job="01234567-89ab-cdef-0123-456789abcdef")
assert WIRE.decode(WIRE.encode(cancel)) == cancel
print(sorted(set(sys.modules) & {"websockets", "msgpack"}))
"""


def test_it_runs_on_every_python_and_leaves_other_plugins_packages_alone(subtests, plugin_folder):
    for python in pythons():
        with subtests.test(python=python):
            command = [python, "-I", "-c", IMPORT, plugin_folder / "layerfusion"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip() == "[]"


def test_every_file_is_python_3_10(plugin_folder):
    for path in plugin_folder.rglob("*.py"):
        ast.parse(path.read_text("utf-8"), path.name, feature_version=(3, 10))
