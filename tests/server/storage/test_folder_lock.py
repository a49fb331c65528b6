"""A folder has one server at a time."""

import os
import stat
import subprocess
import sys

import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.errors import StoreInUse
from layerfusion.server.storage.lock import FolderLock


def test_a_folder_has_one_server(tmp_path):
    first = FolderLock(tmp_path)
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    FolderLock(tmp_path / "data" / "jobs").release()
    assert stat.S_IMODE((tmp_path / "data" / "jobs").stat().st_mode) == 0o700


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    holder = (
        "import pathlib, sys, time; from layerfusion.server.storage.lock import FolderLock; "
        "lock = FolderLock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(tmp_path)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(StoreInUse, match=f"process {process.pid}"):
            FolderLock(tmp_path)
        process.kill()
        process.wait()
    FolderLock(tmp_path).release()


def test_a_folder_that_cannot_be_locked_is_reported(tmp_path):
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(UnwritableFile, match="cannot be written"):
        FolderLock(tmp_path / "file")
