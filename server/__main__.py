"""The command `layerfusion`, and `python -P -m layerfusion.server` where no script is installed.

Only modules that Python has loaded before any program are imported here, until nothing can stand in the place of
Python's own.
"""

import os
import sys


def main() -> int:
    """Run one command line and return its exit code; see `server.cli.main`."""
    prefer_pythons_own_modules()
    keep_the_current_folder_out()
    try:
        from layerfusion.server.cli.main import main as run
    except KeyboardInterrupt:
        print("layerfusion: Stopped.", file=sys.stderr)
        return 130
    return run()


def keep_the_current_folder_out() -> None:
    """Neither this process nor any that it starts runs files of the current folder.

    `python -m` searches for modules there, unless the package itself is there or `PYTHONPATH` names it. Processes that
    are started later inherit the variables: Python's would search there, and Windows for programs, too.
    """
    here, package = os.path.realpath(os.curdir), os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))
    first = os.path.realpath(sys.path[0] or os.curdir) if sys.path else ""
    if first == here and not package.startswith(here + os.sep):
        del sys.path[0]
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["NoDefaultCurrentDirectoryInExePath"] = "1"  # noqa: SIM112 - Windows' own spelling


def prefer_pythons_own_modules() -> None:
    """Put folders of `sys.path` last that would replace modules of Python's own, such as a folder with a `types.py`.

    They come from `PYTHONPATH`, or are the current folder if Python was started with `-m`. What else they hold can
    still be imported. Processes that the command starts are not told of them in `PYTHONPATH`; those of
    `multiprocessing` get this `sys.path`.
    """
    own = os.path.dirname(os.__file__)
    first = next((place for place, folder in enumerate(sys.path) if folder == own), len(sys.path))
    replacing = [folder for folder in sys.path[:first] if replaces_pythons_own(folder)]
    sys.path[:] = [folder for folder in sys.path if folder not in replacing] + replacing
    if "PYTHONPATH" in os.environ:
        named = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(folder for folder in named if not replaces_pythons_own(folder))


def replaces_pythons_own(folder: str) -> bool:
    """Whether a folder holds a module or package with the name of one of Python's own. Empty is the current folder."""
    try:
        names = os.listdir(folder or os.curdir)
    except OSError:  # there is none of that name, or it is a zip file
        return False
    for name in names:
        stem, _, suffix = name.partition(".")
        is_module = suffix.endswith(("py", "pyc", "so", "pyd"))
        if stem in sys.stdlib_module_names and (is_module or os.path.isfile(os.path.join(folder, name, "__init__.py"))):
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
