"""`layerfusion plugin build` and `plugin install`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import UnwritableFile
from layerfusion.krita_plugin.package import PackageError, build, install
from layerfusion.server.cli.console import CommandError, say
from layerfusion.server.cli.targets import add_overwrite, check_free


def add_parser(commands: Any) -> None:
    """Declare `plugin` and its actions."""
    parser = commands.add_parser("plugin", help="put the plugin into Krita", description="The plugin for Krita.")
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", metavar="build|install", required=True)
    build = actions.add_parser("build", help="make the zip Krita imports", description="Make the zip Krita imports.")
    build.add_argument("--out", metavar="DIR", default=".", help="folder to write it to (default: this one)")
    add_overwrite(build)
    actions.add_parser("install", help="put it into your Krita", description="Put the plugin into your Krita.")


def run(arguments: argparse.Namespace) -> None:
    """Make the zip, or put the plugin into the user's Krita.

    Raises:
        UnwritableFile: the folder cannot be written to.
        CommandError: the plugin cannot be put together.
    """
    try:
        if arguments.action == "build":
            path = build(Path(arguments.out), overwrite=arguments.overwrite)
            say(f"{path}  {path.stat().st_size / 1e3:.0f} kB")
            say("In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File…, then restart Krita.")
        else:
            installed = install()
            say(f"{installed.folder}")
            say(installed.advice)
    except PackageError as error:
        raise CommandError(str(error)) from error
    except FileExistsError as error:
        check_free(Path(error.filename), overwrite=False)
        raise
    except OSError as error:
        where = error.filename or getattr(arguments, "out", "Krita's folder")
        raise UnwritableFile(f"“{where}” cannot be written ({error.strerror}).", "Choose another folder.") from error
