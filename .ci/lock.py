"""Writes requirements-dev.lock from the environment it runs in: python .ci/lock.py

A list of constraints for `pip install -c`: name and exact version of all that `.[dev]` brings, and nothing else. Local
labels of versions (torch 2.13.0+cpu) are left out, as which build of torch fits is the machine's own affair; so are
pip's own tools and addresses.
"""

import platform
import re
import sys
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements-dev.lock"
OURS = "layerfusion"
HEAD = """\
# Made by `make lock` from an environment with `.[dev]` newly installed, on Python {python}, {system}.
# Constraints, not a list to install: what another system or Python needs besides is not held.
#     pip install -c requirements-dev.lock '.[dev]'
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(name: str, extras: frozenset[str], found: dict[str, str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Add to `found` what a distribution needs, and what that needs in turn, as far as it is installed."""
    from packaging.requirements import Requirement  # comes with `build` and pytest

    if (name, extras) in seen:
        return
    seen.add((name, extras))
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return  # another system's
    if canonical(name) != OURS:
        found[canonical(name)] = distribution.version.partition("+")[0]
    for text in distribution.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            required(requirement.name, frozenset(requirement.extras), found, seen)


def main() -> int:
    found: dict[str, str] = {}
    required(OURS, frozenset({"dev"}), found, set())
    if "pyright" not in found or "torch" not in found:
        print("Install the development extra first: pip install '.[dev]'", file=sys.stderr)
        return 1
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    head = HEAD.format(python=platform.python_version(), system=platform.system())
    LOCK.write_text(head + "".join(lines), encoding="utf-8", newline="\n")
    print(f"{LOCK.name}: {len(lines)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
