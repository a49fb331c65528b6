"""A folder, a list of jobs or layers that other users can use are refused."""

import os
import sys

import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.lock import FolderLock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")


def folder(path):
    FolderLock(path)


def database(path):
    Database(path / "jobs.sqlite")


def layers(path):
    LayerStore(path / "layers")


@pytest.fixture
def used(tmp_path):
    path = tmp_path / "jobs"
    FolderLock(path).release()
    Database(path / "jobs.sqlite").close()
    LayerStore(path / "layers")
    return path


PARTS = pytest.mark.parametrize(("use", "part"), [(folder, ""), (database, "jobs.sqlite"), (layers, "layers")])


@PARTS
@pytest.mark.parametrize("mode", [0o755, 0o750, 0o702, 0o770])
def test_another_mode_is_refused_with_the_remedy(used, use, part, mode):
    (used / part).chmod(mode)
    with pytest.raises(UnwritableFile, match=rf"its mode is {mode:o}\). Make it private: chmod -R go-rwx"):
        use(used)


@PARTS
@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
def test_another_owner_is_refused(used, use, part):
    os.chown(used / part, 12345, 12345)
    with pytest.raises(UnwritableFile, match=r"belongs to another user \(id 12345\)"):
        use(used)


def test_what_was_made_by_a_server_is_accepted(used):
    for use in (folder, database, layers):
        use(used)
