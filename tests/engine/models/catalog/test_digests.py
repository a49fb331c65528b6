"""Digests of model files are remembered, until the file changes."""

import hashlib
import json
import os

import pytest

from layerfusion.engine.models.catalog import digests
from layerfusion.engine.models.catalog.digests import known_digest
from layerfusion.engine.models.catalog.registry import FOLDER_VARIABLE
from layerfusion.engine.models.catalog.weight_source import LocalWeights

LARGE = 2**26


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The file with the digests that are remembered."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models" / ".digests"


@pytest.fixture
def read(monkeypatch):
    """The files that were read wholly, in order."""
    files = []

    def digest_of(file):
        files.append(file.name)
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    monkeypatch.setattr(digests, "digest_of", digest_of)
    return files


def sparse(path, size=LARGE):
    """A file of zeros that takes no room."""
    with path.open("wb") as stream:
        stream.truncate(size)
    return LocalWeights(path)


ZEROS = hashlib.sha256(bytes(LARGE)).hexdigest()


def test_a_large_file_is_read_once(tmp_path, store, read):
    weights = sparse(tmp_path / "large.safetensors")
    assert [known_digest(weights) for _ in range(3)] == [ZEROS] * 3
    assert read == ["large.safetensors"]
    os.utime(weights.path, (1, 1))  # another file of the same name and size
    assert known_digest(weights) == ZEROS
    assert read == ["large.safetensors"] * 2
    assert len(json.loads(store.read_bytes())) == 1


def test_a_small_file_is_read_once_in_a_process_and_leaves_nothing(tmp_path, store, read):
    weights = sparse(tmp_path / "small.safetensors", 1000)
    assert known_digest(weights) == known_digest(weights) == hashlib.sha256(bytes(1000)).hexdigest()
    assert len(read) == 1
    weights.path.write_bytes(b"x" * 1000)
    os.utime(weights.path, (1, 1))  # a change may be too soon after the first for the clock of the disk
    assert known_digest(weights) == hashlib.sha256(b"x" * 1000).hexdigest()
    assert len(read) == 2
    assert not store.exists()


def test_of_a_folder_it_is_the_unets(tmp_path, store, read):
    (tmp_path / "model" / "unet").mkdir(parents=True)
    sparse(tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors", 10)
    assert known_digest(LocalWeights(tmp_path / "model")) == hashlib.sha256(bytes(10)).hexdigest()
    assert known_digest(LocalWeights(tmp_path / "elsewhere")) == ""


@pytest.mark.parametrize("damage", [b"", b"no JSON", b"[1, 2]", b'{"large.safetensors": 3}'])
def test_a_damaged_memory_is_made_anew(tmp_path, store, read, damage):
    weights = sparse(tmp_path / "large.safetensors")
    store.parent.mkdir()
    store.write_bytes(damage.replace(b"large.safetensors", str(weights.path).encode()))
    assert [known_digest(weights) for _ in range(2)] == [ZEROS] * 2
    assert len(read) == 1


def test_without_a_folder_for_the_memory_the_file_is_read_each_time(tmp_path, store, read):
    weights = sparse(tmp_path / "large.safetensors")
    store.parent.write_bytes(b"in the way")
    assert [known_digest(weights) for _ in range(2)] == [ZEROS] * 2
    assert len(read) == 2
