"""What commands and the processes they start tell torch before they import it."""

import os
import subprocess
import sys

import pytest

from layerfusion.server.cli.environment import ENVIRONMENT, WAITING

WATCH = """
import gc, os, sys

class AtTorch:
    def find_spec(self, name, *_):
        if name == "torch":
            print(gc.isenabled(), "scipy" in sys.modules, *(os.environ.get(variable, "") for variable in {names}))
            raise KeyboardInterrupt

sys.meta_path.insert(0, AtTorch())
from layerfusion.server.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("command", "without_scipy"),
    [(["generate", "a", "--background", "b", "--out", "a.psd"], True), (["benchmark"], False)],
)
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(tmp_path, command, without_scipy):
    """And a first picture is spared the import of SciPy, which is not needed."""
    names = [*ENVIRONMENT, *WAITING]
    plain = {name: value for name, value in os.environ.items() if name not in names}
    expected = {**ENVIRONMENT, **WAITING}
    for given in ({}, {"OMP_WAIT_POLICY": "ACTIVE"}):
        done = subprocess.run(
            [sys.executable, "-c", WATCH.format(names=names), *command],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**plain, **given},
            timeout=60,
        )
        said = ["False", str(without_scipy), *({**expected, **given}[name] for name in names)]
        assert done.stdout.splitlines()[0].split() == said
