import ast
import configparser
import json
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
    KritaFolders,
    PackageError,
    build,
    enabled,
    forgotten,
    install,
    krita_folders,
    remove,
)

CARRIED = ("protocol", "websockets", "msgpack")
IMPORTER = Path("/usr/share/krita/pykrita/plugin_importer/plugin_importer.py")


def contents(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def test_the_zip_is_named_by_the_version_and_small(plugin_zip):
    assert plugin_zip.name == f"layerfusion-krita-{metadata.version('layerfusion')}.zip"
    assert plugin_zip.stat().st_size < 400_000


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


# ---- install ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def krita(tmp_path, monkeypatch):
    """The folders of a closed Krita that was never started."""
    monkeypatch.setattr(package, "krita_is_open", lambda: False)
    return KritaFolders(tmp_path / "resources", tmp_path / "config" / "kritarc")


def test_install_copies_and_enables_the_plugin(krita, plugin_zip, tmp_path):
    done = install(krita, executable=tmp_path / "layerfusion")
    pykrita = krita.resources / "pykrita"
    files = {p.relative_to(pykrita).as_posix(): p.read_bytes() for p in pykrita.rglob("*") if p.is_file()}
    assert json.loads(files.pop(package.INSTALLED)) == {"executable": str(tmp_path / "layerfusion")}
    files["layerfusion.action"] = (krita.resources / "actions" / "layerfusion.action").read_bytes()
    assert files == contents(plugin_zip)
    assert done.folder == pykrita / "layerfusion"
    assert krita.settings.read_text() == "[python]\nenable_layerfusion=true\n"
    assert "plugin is enabled" in done.advice


def test_install_over_an_older_one_leaves_nothing_of_it(krita):
    old = krita.resources / "pykrita" / "layerfusion"
    old.mkdir(parents=True)
    (old / "gone.py").touch()
    other = krita.resources / "pykrita" / "other"
    other.mkdir()
    install(krita)
    assert not (old / "gone.py").exists()
    assert sorted(path.name for path in old.parent.iterdir()) == ["layerfusion", "layerfusion.desktop", "other"]


def test_install_replaces_a_link_and_not_what_it_points_to(krita, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "precious.py").touch()
    (krita.resources / "pykrita").mkdir(parents=True)
    (krita.resources / "pykrita" / "layerfusion").symlink_to(checkout)
    install(krita)
    assert [path.name for path in checkout.iterdir()] == ["precious.py"]
    assert not (krita.resources / "pykrita" / "layerfusion").is_symlink()


def test_the_settings_of_an_open_krita_are_not_changed(krita, monkeypatch):
    monkeypatch.setattr(package, "krita_is_open", lambda: True)
    assert "Python Plugin Manager" in install(krita).advice
    assert not krita.settings.exists()


def test_an_enabled_plugin_needs_a_restart_only(krita, monkeypatch):
    install(krita)
    monkeypatch.setattr(package, "krita_is_open", lambda: True)
    before = krita.settings.read_bytes()
    assert install(krita).advice == "Restart Krita to use it."
    assert krita.settings.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_an_os_error(krita):
    krita.resources.write_text("a file, where the folder should be")
    with pytest.raises(OSError, match="resources"):
        install(krita)


def everything(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_remove_leaves_nothing_of_the_plugin_and_all_else(krita, tmp_path):
    other = krita.resources / "pykrita" / "other" / "__init__.py"
    other.parent.mkdir(parents=True)
    other.write_text("another plugin")
    krita.settings.parent.mkdir()
    krita.settings.write_bytes(b"A=\xff\n[python]\nenable_other=true\n")
    before = everything(tmp_path)
    install(krita)
    assert everything(tmp_path) != before
    done = remove(krita)
    assert everything(tmp_path) == before
    assert [path.name for path in done.removed] == ["layerfusion", "layerfusion.desktop", "layerfusion.action"]
    assert "kritarc was removed" in done.advice
    again = remove(krita)
    assert again.removed == ()
    assert again.advice.startswith("Nothing of the plugin is left in ")
    assert everything(tmp_path) == before


def test_remove_leaves_an_open_kritas_settings_and_finishes_later(krita, monkeypatch):
    install(krita)
    before = krita.settings.read_bytes()
    monkeypatch.setattr(package, "krita_is_open", lambda: True)
    done = remove(krita)
    assert len(done.removed) == 3
    assert "close it and run this command again" in done.advice
    assert krita.settings.read_bytes() == before
    monkeypatch.setattr(package, "krita_is_open", lambda: False)
    assert remove(krita).removed == ()
    assert krita.settings.read_text() == "[python]\n"


def test_remove_takes_a_link_and_not_what_it_points_to(krita, tmp_path):
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "precious.py").touch()
    (krita.resources / "pykrita").mkdir(parents=True)
    (krita.resources / "pykrita" / "layerfusion").symlink_to(tmp_path / "checkout")
    remove(krita)
    assert [path.name for path in (tmp_path / "checkout").iterdir()] == ["precious.py"]
    assert list((krita.resources / "pykrita").iterdir()) == []


def test_removing_changes_one_line_of_the_settings():
    cases = {
        "": "",
        "[python]\nenable_layerfusion=true\nb=2\n": "[python]\nb=2\n",
        "[python]\r\na=1\r\nenable_layerfusion = false\r\n": "[python]\r\na=1\r\n",
        "[a]\nenable_layerfusion=true\n[python]\nenable_layerfusion2=true\n": None,
    }
    for before, after in cases.items():
        assert forgotten(before) == (before if after is None else after)


def test_enabling_changes_one_line_of_the_settings(subtests):
    for before, after in [
        ("", "[python]\nenable_layerfusion=true\n"),
        ("A=1", "A=1\n\n[python]\nenable_layerfusion=true\n"),
        ("A=1\n[B]\nc=[x]\n", "A=1\n[B]\nc=[x]\n\n[python]\nenable_layerfusion=true\n"),
        ("[python]", "[python]\nenable_layerfusion=true\n"),
        ("[python]\nenable_x=true\n[z]\n", "[python]\nenable_layerfusion=true\nenable_x=true\n[z]\n"),
        ("[python]\nenable_layerfusion=false\nb=2\n", "[python]\nenable_layerfusion=true\nb=2\n"),
        ("[python]\r\nenable_layerfusion=false\r\nb=2\r\n", "[python]\r\nenable_layerfusion=true\r\nb=2\r\n"),
        (
            "[a]\nenable_layerfusion=false\n[python]\n",
            "[a]\nenable_layerfusion=false\n[python]\nenable_layerfusion=true\n",
        ),
    ]:
        with subtests.test(before=before, after=after):
            assert enabled(before) == after
            assert enabled(after) == after


def test_bytes_of_the_settings_that_are_no_utf8_survive(krita):
    krita.settings.parent.mkdir()
    krita.settings.write_bytes(b"path=\xff\xfe\n")
    install(krita)
    assert krita.settings.read_bytes() == b"path=\xff\xfe\n\n[python]\nenable_layerfusion=true\n"


def test_the_folders_are_those_of_each_platform(monkeypatch, tmp_path):
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert krita_folders("linux") == KritaFolders(tmp_path / ".local/share/krita", tmp_path / ".config/kritarc")
    assert krita_folders("win32") == KritaFolders(
        tmp_path / "AppData/Roaming/krita", tmp_path / "AppData/Local/kritarc"
    )
    assert krita_folders("darwin") == KritaFolders(
        tmp_path / "Library/Application Support/krita", tmp_path / "Library/Preferences/kritarc"
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    assert krita_folders("linux").resources == tmp_path / "data/krita"
    assert krita_folders("win32").resources == tmp_path / "roaming/krita"


@pytest.mark.parametrize(("listing", "is_open"), [("krita.exe  4711 Console", True), ("INFO: No tasks", False)])
def test_on_windows_the_list_of_processes_comes_from_the_system_folder(monkeypatch, listing, is_open):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(stdout=listing, returncode=0)

    with monkeypatch.context() as windows:
        windows.setenv("SYSTEMROOT", "/Windows")
        windows.setattr(package.sys, "platform", "win32")
        windows.setattr(package.subprocess, "run", run)
        assert package.krita_is_open() is is_open
    (command,) = commands
    assert Path(command[0]) == Path("/Windows", "System32", "tasklist.exe"), "not one from the current folder"
