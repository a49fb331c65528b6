"""The layer store: complete files named by their SHA-256, no remains of failed writes, no needed layer removed."""

import errno
import hashlib
import os
import stat
import sys

import numpy as np
import pytest

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.storage import layer_store
from layerfusion.server.storage.layer_store import DamagedLayer, LayerStore

PIXELS = bytes(range(256)) * 8
DIGEST = hashlib.sha256(PIXELS).hexdigest()


@pytest.fixture
def store(tmp_path):
    return LayerStore(tmp_path / "layers")


def files(store):
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


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
    (tmp_path / "file").touch(mode=0o600)
    with pytest.raises(UnwritableFile):
        LayerStore(tmp_path / "file" / "layers")


def test_a_folder_that_has_gone(store):
    (store.folder / "drafts").rmdir()
    with pytest.raises(UnwritableFile):
        store.put(PIXELS)


DAMAGES = {
    "shorter": PIXELS[:-1],
    "empty": b"",
    "longer": PIXELS + b"x",
    "other bytes": b"x" + PIXELS[1:],
}


@pytest.fixture(params=DAMAGES.values(), ids=DAMAGES.keys())
def damaged(request, store):
    store.put(PIXELS)
    store.path(DIGEST).write_bytes(request.param)
    return store


def test_a_damaged_layer_is_not_there(damaged):
    assert not damaged.is_whole(DIGEST, len(PIXELS))
    with pytest.raises(DamagedLayer, match="its bytes are damaged"):
        damaged.read(DIGEST)
    with pytest.raises(DamagedLayer):
        damaged.open(DIGEST, len(PIXELS))


def test_storing_a_layer_again_replaces_a_damaged_one(damaged):
    assert damaged.put(PIXELS) == DIGEST
    assert damaged.read(DIGEST) == PIXELS
    assert files(damaged) == [damaged.path(DIGEST)]


def test_an_upload_replaces_a_damaged_layer(damaged):
    with damaged.draft() as draft:
        draft.write(PIXELS)
        draft.keep(DIGEST)
    assert damaged.read(DIGEST) == PIXELS


def test_a_whole_layer_is_not_written_again(store):
    store.put(PIXELS)
    before = store.path(DIGEST).stat().st_ino
    store.put(PIXELS)
    assert store.path(DIGEST).stat().st_ino == before


def test_a_layer_has_the_size_that_its_job_says(store):
    store.put(PIXELS)
    assert store.has(DIGEST, len(PIXELS)) and store.is_whole(DIGEST, len(PIXELS))
    assert not store.has(DIGEST, len(PIXELS) + 4) and not store.is_whole(DIGEST, len(PIXELS) + 4)
    with pytest.raises(DamagedLayer):
        store.open(DIGEST, len(PIXELS) + 4)


def test_a_layer_is_opened_at_its_beginning(store):
    store.put(PIXELS)
    with store.open(DIGEST, len(PIXELS)) as file:
        assert file.read() == PIXELS


def test_a_fresh_layer_is_hashed_when_it_is_opened_a_second_time(store, monkeypatch):
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: hashed.append(kind) or real(file, kind))
    LayerStore(store.folder).put(PIXELS)  # as the worker does
    store.note_fresh(DIGEST)
    for expected in ([], ["sha256"]):
        with store.open(DIGEST, len(PIXELS)) as file:
            assert file.read() == PIXELS
        assert hashed == expected


def test_a_fresh_layer_that_was_changed_since_is_damaged(store):
    store.put(PIXELS)
    store.note_fresh(DIGEST)
    store.path(DIGEST).write_bytes(b"x" + PIXELS[1:])
    os.utime(store.path(DIGEST), ns=(2 * 10**18, 2 * 10**18))  # not left to the clock's resolution
    with pytest.raises(DamagedLayer):
        store.open(DIGEST, len(PIXELS))


def test_what_is_fresh_is_forgotten_some_time(store):
    for number in range(layer_store._MOST_FRESH + 9):
        store.note_fresh(store.put(b"%d" % number))
    assert len(store._fresh) == layer_store._MOST_FRESH
    store.note_fresh(DIGEST)  # not there
    assert DIGEST not in store._fresh


def test_drafts_of_processes_that_have_ended_are_removed(store):
    forgotten = [store.folder / "drafts" / name for name in ("left-by-an-earlier-version", f"{2**22 + 1}-abc")]
    for path in forgotten:
        path.write_bytes(b"x")
    with store.draft() as draft:
        draft.write(PIXELS)
        store.clear_drafts()
        draft.keep(DIGEST)
    assert files(store) == [store.path(DIGEST)]


def test_drafts_do_not_age(store):
    with store.draft() as draft:
        draft.write(PIXELS)
        os.utime(draft._path, (0, 0))
        store.clear_drafts()
        draft.keep(DIGEST)
    assert store.read(DIGEST) == PIXELS
