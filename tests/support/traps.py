"""Files in the current folder, or on PYTHONPATH, that no command and no process of ours may run."""

NAMES = (
    "server",
    "engine/__init__",
    "layerfusion",
    "types",
    "json",
    "re",
    "enum",
    "pickle",
    "torch",
    "logging/__init__",
)
"""Ours as they were once called, and what Python and we import first."""


def set_traps(folder, names=NAMES):
    """Put modules into a folder that note it when they are run, and fail; return the file they note it in.

    The file need not exist: nothing was run as long as it does not.
    """
    marker = folder / "run"
    for name in names:
        trap = folder / f"{name}.py"
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.write_text(f"open({str(marker)!r}, 'a').write({name!r} + ' ')\nraise RuntimeError('the trap {name}')\n")
    return marker
