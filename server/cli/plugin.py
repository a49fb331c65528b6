"""`layerfusion plugin build` and `plugin install`."""

from __future__ import annotations

import argparse
from pathlib import Path

from layerfusion.engine.errors import UnwritableFile
from layerfusion.krita_plugin.package import PackageError, build, install
from layerfusion.server.cli.console import CommandError, say


def run(arguments: argparse.Namespace) -> None:
    """Make the zip, or put the plugin into the user's Krita.

    Raises:
        UnwritableFile: the folder cannot be written to.
        CommandError: the plugin cannot be put together.
    """
    try:
        if arguments.action == "build":
            path = build(Path(arguments.out))
            say(f"{path}  {path.stat().st_size / 1e3:.0f} kB")
            say("In Krita: Tools ▸ Scripts ▸ Import Python Plugin from File…, then restart Krita.")
        else:
            installed = install()
            say(f"{installed.folder}")
            say(installed.advice)
    except PackageError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        where = error.filename or getattr(arguments, "out", "Krita's folder")
        raise UnwritableFile(f"“{where}” cannot be written ({error.strerror}).", "Choose another folder.") from error
