"""A real file system of a few megabytes, for tests of full disks. Only root on Linux can mount one."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest


@contextlib.contextmanager
def small_disk(path, megabytes):
    """Mount a file system at `path`; the test is skipped where that is impossible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small file system")
    path.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "layerfusion-test", str(path)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine does not allow to mount a small file system")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(folder, *, but=0):
    """Fill the disk of a folder, except for so many bytes."""
    with (folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while (left := shutil.disk_usage(folder).free - but) > 0:
            file.write(bytes(min(left, 1 << 20)))
