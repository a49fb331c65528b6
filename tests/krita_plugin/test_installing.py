"""The plugin in Krita's folders is installed, enabled and removed without touching anything else."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from layerfusion.krita_plugin import package
from layerfusion.krita_plugin.package import (
    KritaFolders,
    enabled,
    forgotten,
    install,
    krita_folders,
    remove,
)


def contents(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


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
