"""Builds the Krita plugin as a zip file, installs it into the user's Krita, and removes it. All of it works offline.

Krita's Python has no pip, so the plugin includes the packages that it needs:

    layerfusion.desktop
    layerfusion.action      the actions for which Krita offers shortcuts
    layerfusion/            krita_plugin/layerfusion with its sub-folders, and our licence
    layerfusion/protocol/   server/protocol, byte for byte: one definition of the wire for both sides
    layerfusion/websockets/ the .py files and licence of the installed distribution,
    layerfusion/msgpack/    each checked against its hash in RECORD

The plugin imports the last two relatively, so that it never uses another plugin's copies of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

PLUGIN = "layerfusion"
CARRIED = ("websockets", "msgpack")
INSTALLED = f"{PLUGIN}/installed.json"
DESKTOP = f"{PLUGIN}.desktop"
ACTION = f"{PLUGIN}.action"
_AGAIN = "pip install --force-reinstall"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackageError(Exception):
    """The plugin cannot be assembled or installed; the text says why and what to do."""


class ZipExists(PackageError):
    """A zip file of that name exists, has another content, and must not be overwritten."""


def build(folder: Path, *, overwrite: bool = True) -> Path:
    """Write `layerfusion-krita-<version>.zip` into `folder` and return its path.

    The same installation always gives the same bytes. Krita installs the file with Tools ▸ Scripts ▸ Import Python
    Plugin from File.

    Raises:
        PackageError: an included distribution was changed after it was installed.
        ZipExists: a file of that name with another content exists, and `overwrite` is False.
        OSError: `folder` cannot be created or written to.
    """
    contents = assemble()
    # Krita's importer finds a plugin by the zip entry of its folder, which zip files need not have
    contents |= {f"{parent}/": b"" for name in contents for parent in PurePosixPath(name).parents if parent.name}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, data in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.create_system = 3
            entry.external_attr = (0o40755 if entry.is_dir() else 0o100644) << 16
            file.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=9)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"layerfusion-krita-{_installed(PLUGIN).version}.zip"
    if not overwrite and path.exists() and path.read_bytes() != archive.getvalue():
        raise ZipExists(f"“{path}” is there already.")
    _replace(path, archive.getvalue())
    return path


def assemble() -> dict[str, bytes]:
    """Collect all files of the plugin: name inside the zip -> content.

    Raises:
        PackageError: a distribution was changed after it was installed, is not installed, or has no licence file.
    """
    here = resources.files("layerfusion.krita_plugin")
    contents = {name: (here / name).read_bytes() for name in (DESKTOP, ACTION)}
    contents |= _sources(here / PLUGIN, PLUGIN, (".py", ".html", ".json"))
    contents |= _sources(resources.files("layerfusion.server.protocol"), f"{PLUGIN}/protocol", (".py",))
    for name in (PLUGIN, *CARRIED):
        folder = PLUGIN if name == PLUGIN else f"{PLUGIN}/{name}"
        files = _installed(name).files or []
        licences = [file for file in files if "licenses" in file.parts]
        if not licences:
            raise PackageError(f"The installed {name} has no licence file. Install it again: {_AGAIN} {name}")
        contents |= {f"{folder}/{file.name}": _as_recorded(file) for file in licences}
        if name in CARRIED:
            ours = [file for file in files if file.parts[0] == name and file.suffix == ".py"]
            contents |= {f"{PLUGIN}/{file.as_posix()}": _as_recorded(file) for file in ours}
    return contents


def _sources(folder: Traversable, name: str, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """The files with these suffixes in a folder and all its sub-folders: name inside the zip -> content."""
    contents: dict[str, bytes] = {}
    for item in folder.iterdir():
        inside = f"{name}/{item.name}"
        if item.is_dir():
            contents |= _sources(item, inside, suffixes)
        elif item.name.endswith(suffixes):
            contents[inside] = item.read_bytes()
    return contents


def _installed(name: str) -> metadata.Distribution:
    """The distribution that has a RECORD, which holds the hash of every file.

    In a checkout, `layerfusion.egg-info` may come first on the path; it has no RECORD and lists no licence file.

    Raises:
        PackageError: no such distribution is installed.
    """
    for distribution in metadata.distributions(name=name):
        if distribution.read_text("RECORD"):
            return distribution
    raise PackageError(f"{name} is not installed. Install it: pip install {name}")


def _as_recorded(file: metadata.PackagePath) -> bytes:
    """The content of an installed file, after a check against its hash in RECORD."""
    data = Path(str(file.locate())).read_bytes()
    if file.hash is not None:
        digest = hashlib.new(file.hash.mode, data).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value:
            return data
    name = file.dist.name if file.dist else file.parts[0]
    raise PackageError(f"{file} is not the file that {name} installed. Install it again: {_AGAIN} {name}")


@dataclass(frozen=True)
class KritaFolders:
    """The paths of one Krita.

    Attributes:
        resources: the resource folder (Settings ▸ Manage Resources ▸ Open Resource Folder); plugins are in its
            sub-folder `pykrita`.
        settings: the file kritarc, which says which plugins are enabled.
    """

    resources: Path
    settings: Path


def krita_folders(platform: str = sys.platform) -> KritaFolders:
    """The default paths on Linux, Windows and macOS, as Krita's documentation states them."""
    home = Path.home()
    if platform == "win32":
        roaming = Path(os.environ.get("APPDATA") or home / "AppData/Roaming")
        local = Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local")
        return KritaFolders(roaming / "krita", local / "kritarc")
    if platform == "darwin":
        return KritaFolders(home / "Library/Application Support/krita", home / "Library/Preferences/kritarc")
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return KritaFolders(data / "krita", config / "kritarc")


@dataclass(frozen=True)
class Installation:
    """The result of `install`.

    Attributes:
        folder: the plugin's folder.
        advice: what the user should do next, in one or two sentences.
    """

    folder: Path
    advice: str


def install(folders: KritaFolders | None = None, *, executable: Path | None = None) -> Installation:
    """Install the plugin into a Krita, enable it if Krita is closed, and record the path of this `layerfusion` in it.

    Args:
        folders: the Krita to install into; by default the user's own.
        executable: the program with which the plugin starts the server; by default the command of this environment.

    Raises:
        PackageError: an included distribution was changed after it was installed.
        OSError: the folder cannot be written to.
    """
    folders = folders or krita_folders()
    contents = assemble()
    command = executable or _own_executable()
    if command is not None:
        contents[INSTALLED] = json.dumps({"executable": str(command)}).encode()
    pykrita = folders.resources / "pykrita"
    pykrita.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pykrita, prefix=".layerfusion-") as scratch:
        for name, data in contents.items():
            path = Path(scratch, *PurePosixPath(name).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _remove(pykrita / PLUGIN)
        for name in (PLUGIN, DESKTOP):
            Path(scratch, name).replace(pykrita / name)
        (folders.resources / "actions").mkdir(exist_ok=True)
        Path(scratch, ACTION).replace(folders.resources / "actions" / ACTION)
    return Installation(pykrita / PLUGIN, _enable(folders.settings))


def _own_executable() -> Path | None:
    """The `layerfusion` command of the environment in which this Python runs."""
    found = shutil.which("layerfusion", path=sysconfig.get_path("scripts"))
    return Path(found).absolute() if found else None


def _replace(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(data)
    unfinished.replace(path)


def _remove(path: Path) -> None:
    """Remove a folder, a file or a symbolic link. The target of a link is left alone."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _enable(settings: Path) -> str:
    """Enable the plugin in kritarc, unless Krita is open; return what the user should do next."""
    before = settings.read_bytes().decode("utf-8", "surrogateescape") if settings.exists() else ""
    after = enabled(before)
    if before == after:
        return "Restart Krita to use it."
    if krita_is_open():
        return (
            "Krita is open: enable LayerFusion under Settings ▸ Configure Krita… ▸ Python Plugin Manager, "
            "then restart Krita."
        )
    settings.parent.mkdir(parents=True, exist_ok=True)
    _replace(settings, after.encode("utf-8", "surrogateescape"))
    return "The plugin is enabled: start Krita and open the LayerFusion docker (Settings ▸ Dockers ▸ LayerFusion)."


def enabled(kritarc: str) -> str:
    """The text of kritarc with the plugin enabled; everything else is unchanged."""
    entry = f"enable_{PLUGIN}=true"
    lines = kritarc.splitlines(keepends=True)
    if "[python]" not in (line.strip() for line in lines):
        gap = "" if not kritarc else "\n" if kritarc.endswith("\n") else "\n\n"
        return f"{kritarc}{gap}[python]\n{entry}\n"
    start = next(index for index, line in enumerate(lines) if line.strip() == "[python]")
    for index in range(start + 1, len(lines)):
        line = lines[index].strip()
        if line.startswith("["):
            break
        if line.partition("=")[0].strip() == f"enable_{PLUGIN}":
            lines[index] = lines[index].replace(line, entry)
            return "".join(lines)
    if not lines[start].endswith("\n"):
        lines[start] += "\n"
    return "".join([*lines[: start + 1], f"{entry}\n", *lines[start + 1 :]])


@dataclass(frozen=True)
class Removal:
    """The result of `remove`.

    Attributes:
        removed: the folders and files that were removed.
        advice: what became of the line in kritarc, and what the user should do next.
    """

    removed: tuple[Path, ...]
    advice: str


def remove(folders: KritaFolders | None = None) -> Removal:
    """Remove the plugin from a Krita: its folder, its two files beside it and, if Krita is closed, its line in kritarc.

    Args:
        folders: the Krita to remove it from; by default the user's own.

    Raises:
        OSError: something cannot be removed.
    """
    folders = folders or krita_folders()
    pykrita = folders.resources / "pykrita"
    ours = pykrita / PLUGIN, pykrita / DESKTOP, folders.resources / "actions" / ACTION
    there = [path for path in ours if path.exists() or path.is_symlink()]
    for path in there:
        _remove(path)
    return Removal(tuple(there), _forget(folders.settings, pykrita))


def _forget(settings: Path, pykrita: Path) -> str:
    """Remove the plugin's line from kritarc, unless Krita is open; return what was done."""
    before = settings.read_bytes().decode("utf-8", "surrogateescape") if settings.exists() else ""
    after = forgotten(before)
    if before == after:
        return f"Nothing of the plugin is left in {pykrita} and in {settings}."
    if krita_is_open():
        return f"Krita is open: close it and run this command again, to remove the plugin's line from {settings}."
    _replace(settings, after.encode("utf-8", "surrogateescape"))
    return f"The plugin's line in {settings} was removed, too."


def forgotten(kritarc: str) -> str:
    """The text of kritarc without the plugin's line; everything else is unchanged."""
    lines, section, kept = kritarc.splitlines(keepends=True), "", []
    for line in lines:
        if line.strip().startswith("["):
            section = line.strip()
        if section != "[python]" or line.partition("=")[0].strip() != f"enable_{PLUGIN}":
            kept.append(line)
    return "".join(kept)


def krita_is_open() -> bool:
    """Whether a Krita of this user runs. True if that cannot be found out, as kritarc is then left alone."""
    if sys.platform == "win32":
        # With the bare name, Windows would first look for the program in the current folder
        tasklist = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "tasklist.exe")
        command = [str(tasklist), "/NH", "/FI", "IMAGENAME eq krita.exe"]
    else:
        command = ["pgrep", "-x", "-U", str(os.getuid()), "krita"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return True
    return "krita.exe" in listing.stdout if sys.platform == "win32" else listing.returncode == 0
