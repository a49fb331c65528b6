"""Checks the types of package, assembled Krita plugin and tests: python .ci/check_types.py [option of pyright …]

The three source folders are imported as parts of one package, `layerfusion.engine` and so on, and a type checker knows
a class by the file it has read it from. Checked where they lie, each class of ours would be two: one read from
`engine/`, one from wherever `layerfusion.engine` is installed. So the sources are copied below `build/types` under the
names they are imported by, the plugin with all that is packed into it, and checked there. What pyright reports is
printed with the names of the files that were copied.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

from layerfusion.krita_plugin import package

ROOT = Path(__file__).resolve().parents[1]
TREE = ROOT / "build" / "types"
PLUGIN = "krita_layerfusion"
"""The name the tests import the assembled plugin by; it imports itself relatively."""

ORIGINS = [
    ("layerfusion/engine", "engine"),
    ("layerfusion/server", "server"),
    ("layerfusion/krita_plugin", "krita_plugin"),
    ("layerfusion", "layerfusion"),
    (f"{PLUGIN}/protocol", "server/protocol"),
    (PLUGIN, "krita_plugin/layerfusion"),
]
"""(below the tree, in the checkout); the first that fits decides."""


def lay_out() -> None:
    """Make the tree anew from the checkout."""
    shutil.rmtree(TREE, ignore_errors=True)
    for there, here in reversed(ORIGINS):
        if there.startswith("layerfusion"):
            for file in [*(ROOT / here).rglob("*.py"), *(ROOT / here).rglob("py.typed")]:
                _write(PurePosixPath(there, file.relative_to(ROOT / here).as_posix()), file.read_bytes())
    for name, content in package.assemble().items():
        parts = PurePosixPath(name).parts
        if parts[0] == package.PLUGIN and name.endswith(".py"):
            _write(PurePosixPath(PLUGIN, *parts[1:]), content)


def _write(name: PurePosixPath, content: bytes) -> None:
    path = TREE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def at_home(line: str) -> str:
    """A line of pyright's with the file in the tree replaced by the one it was copied from."""
    for there, here in ORIGINS:
        found = re.sub(re.escape(f"{TREE / there}") + r"(?=[\\/])", str(ROOT / here).replace("\\", r"\\"), line)
        if found != line:
            return found
    return line


def main() -> int:
    lay_out()
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(ROOT), *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)
    print("\n".join(at_home(line) for line in done.stdout.splitlines()))
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
