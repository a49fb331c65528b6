"""The layer store: complete files named by their SHA-256, no remains of failed writes, no needed layer removed."""

import errno
import hashlib
import os
import stat
import sys
import time

import numpy as np
import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.storage.layer_store import LayerStore

PIXELS = bytes(range(256)) * 8
DIGEST = hashlib.sha256(PIXELS).hexdigest()


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path / "layers")


def files(store):
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


def age(store, digest, seconds):
    then = time.time() - seconds
    os.utime(store.path(digest), (then, then))


def test_what_is_put_is_read(store):
    assert not store.has(DIGEST)
    assert store.put(PIXELS) == DIGEST
    assert store.has(DIGEST)
    assert store.read(DIGEST) == PIXELS


def test_the_same_layer_is_kept_once(store):
    store.put(PIXELS)
    store.put(PIXELS)
    assert files(store) == [store.path(DIGEST)]


def test_a_layer_in_pieces(store):
    with store.draft() as draft:
        draft.write(PIXELS[:100])
        draft.write(memoryview(PIXELS)[100:])
        assert not store.has(DIGEST)
        draft.keep(DIGEST)
    assert store.read(DIGEST) == PIXELS
    assert files(store) == [store.path(DIGEST)]


def test_pixels_are_put_as_an_array_has_them(store):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert store.read(store.put(pixels.data)) == pixels.tobytes()


def test_a_draft_that_is_not_kept_leaves_nothing(store):
    with store.draft() as draft:
        draft.write(PIXELS)
    assert files(store) == []


def test_a_missing_layer(store):
    with pytest.raises(FileNotFoundError):
        store.read(DIGEST)


def test_a_layer_is_named_by_a_valid_sha256_only(subtests, store):
    for digest in ["", "../" * 20 + "etc/passwd", "A" * 64, DIGEST + "\n", DIGEST[:-1], "/" * 64]:
        with subtests.test(digest=digest), pytest.raises(ValueError, match="is no SHA-256"):
            store.path(digest)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes; the folder is the user's own")
def test_only_the_owner_can_read_it(store):
    store.put(PIXELS)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path(DIGEST).stat().st_mode) == 0o600


def test_a_full_disk_is_reported_and_leaves_no_file(store, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnwritableFile, match="No space left on device"):
        store.put(PIXELS)
    assert files(store) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableFile):
        LayerStore(tmp_path / "file" / "layers")


def test_a_folder_that_has_gone(store):
    (store.folder / "drafts").rmdir()
    with pytest.raises(UnwritableFile):
        store.put(PIXELS)


def test_prune_removes_what_is_old(store):
    old, new = store.put(b"old!"), store.put(b"new!")
    age(store, old, 1000)
    store.prune(needed=set(), max_seconds=500)
    assert files(store) == [store.path(new)]


def test_prune_keeps_layers_that_are_needed(store):
    old, older = store.put(b"old!"), store.put(b"older!!!")
    age(store, old, 1000)
    age(store, older, 2000)
    store.prune(needed={older}, max_seconds=500)
    assert files(store) == [store.path(older)]


def test_looking_up_a_layer_makes_it_new(store):
    digest = store.put(PIXELS)
    age(store, digest, 1000)
    store.has(digest)
    store.prune(needed=set(), max_seconds=500)
    assert store.has(digest)


def test_prune_keeps_recent_drafts_and_removes_old_ones(store):
    with store.draft() as draft:
        draft.write(PIXELS)
        store.prune(needed=set(), max_seconds=500)
        draft.keep(DIGEST)
    forgotten = store.folder / "drafts" / "left-by-a-kill"
    forgotten.write_bytes(b"x")
    os.utime(forgotten, (0, 0))
    store.prune(needed={DIGEST}, max_seconds=500)
    assert files(store) == [store.path(DIGEST)]
