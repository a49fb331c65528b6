"""`layerfusion plugin build`, `plugin install` and `plugin remove`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile
from layerfusion.krita_plugin.package import PackageError, ZipExists, build, install, remove
from layerfusion.server.cli.console import CommandError, say
from layerfusion.server.cli.targets import add_overwrite


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `plugin` and its actions."""
    parser.description = "Put the plugin into Krita, or take it out."
    actions = parser.add_subparsers(dest="action", metavar="install|remove|build", required=True)
    installed = actions.add_parser(
        "install",
        help="put the plugin into your Krita",
        description="Put the plugin into your Krita, in the place of an older one, and switch it on.",
    )
    installed.set_defaults(run=run_install)
    removed = actions.add_parser(
        "remove",
        help="take the plugin out of your Krita",
        description="Take the plugin out of your Krita: its folder, its .desktop file and its line in kritarc. Nothing "
        "else is touched, neither your documents nor the server's jobs.",
    )
    removed.set_defaults(run=run_remove)
    built = actions.add_parser(
        "build",
        help="make the zip that Krita imports",
        description="Make the zip that Krita imports, for a Krita on another machine.",
    )
    built.add_argument("--out", metavar="DIR", default=".", help="folder to write it to (default: this one)")
    add_overwrite(built)
    built.set_defaults(run=run_build)


def run_install(_arguments: argparse.Namespace) -> None:
    """Put the plugin into the user's Krita.

    Raises:
        UnwritableFile: Krita's folder cannot be written to.
        CommandError: the plugin cannot be put together.
    """
    with _errors("Krita's folder", "written"):
        installed = install()
    say(f"{installed.folder}")
    say(installed.advice)


def run_remove(_arguments: argparse.Namespace) -> None:
    """Take the plugin out of the user's Krita.

    Raises:
        UnwritableFile: something cannot be removed.
    """
    with _errors("Krita's folder", "removed"):
        done = remove()
    for path in done.removed:
        say(f"removed {path}")
    say(done.advice)


def run_build(arguments: argparse.Namespace) -> None:
    """Make the zip.

    Raises:
        UnwritableFile: the folder cannot be written to, or another zip is there and is not to be replaced.
        CommandError: the plugin cannot be put together.
    """
    with _errors(arguments.out, "written"):
        path = build(Path(arguments.out), overwrite=arguments.overwrite)
    say(f"{path}  {path.stat().st_size / 1e3:.0f} kB")
    say("In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File…, then restart Krita.")


@contextmanager
def _errors(place: str, done: str) -> Iterator[None]:
    """What goes wrong with the plugin, in the command line's words."""
    try:
        yield
    except ZipExists as error:
        raise UnwritableFile(str(error), "Choose another folder, or replace it with --overwrite.") from error
    except PackageError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        where = error.filename or place
        raise UnwritableFile(f"“{where}” cannot be {done} ({error.strerror}).", "Check who may write there.") from error
