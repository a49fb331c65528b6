"""Fails unless each part that must be tested branch by branch is: python .ci/coverage_gate.py, after pytest --cov

Reads `.coverage` in the current folder. Lines and branches count alike, as in coverage's own total.
"""

import subprocess
import sys

FLOORS = {
    "server/protocol": 100,
    "server/net/session.py": 100,
    "engine/fusion": 95,
    "engine/image": 95,
    "engine/formats": 95,
}
"""Part of the package -> per cent of its lines and branches that the tests must reach."""


def main() -> int:
    """Report on every part, the missing lines of those that fall short included."""
    failed = []
    for part, floor in FLOORS.items():
        print(f"\n{part}: at least {floor} %", flush=True)
        pattern = f"*/{part}" if part.endswith(".py") else f"*/{part}/*"
        command = [sys.executable, "-m", "coverage", "report", f"--include={pattern}", f"--fail-under={floor}"]
        if subprocess.run(command, check=False).returncode:
            failed.append(part)
    if failed:
        print(f"\nToo little of {', '.join(failed)} is reached by the tests.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
