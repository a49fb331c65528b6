"""Python files in the current folder or on PYTHONPATH that no command and no child process may run."""

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
"""Former names of our packages, and modules that are imported early."""


def set_traps(folder, names=NAMES):
    """Write modules that record in a file that they were run, and then fail. Return the path of that file.

    As long as the file does not exist, no module was run.
    """
    marker = folder / "run"
    for name in names:
        trap = folder / f"{name}.py"
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.write_text(f"open({str(marker)!r}, 'a').write({name!r} + ' ')\nraise RuntimeError('the trap {name}')\n")
    return marker
