import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.safetensors_header import read_header
from layerfusion.engine.models.catalog.scan import scan
from sparse_files import write_sparse


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "some.safetensors"
    save_file({"a": torch.zeros(2, 3, dtype=torch.float16), "b": torch.zeros(4)}, path, metadata={"made": "by me"})
    return path


def test_names_shapes_types_and_metadata_are_read(file):
    header = read_header(file)
    assert header.shape("a") == (2, 3)
    assert header.shape("c") is None
    assert header.tensors["a"].dtype == "F16"
    assert header.metadata == {"made": "by me"}
    assert header.parameters == 10


FOREIGN = {
    "a zip pickle": (b"PK\x03\x04" + b"\0" * 200, "pickle.*never opens one.*safetensors version"),
    "an old pickle": (b"\x80\x02}q\x00." + b"\0" * 200, "pickle"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "a web page": (b"<!DOCTYPE html><html>login</html>", "web page.*Sign in"),
    "GGUF": (b"GGUF" + b"\x03" * 60, "GGUF"),
    "nothing": (b"", "0 bytes"),
    "noise": (bytes(range(256)), "no safetensors file"),
    "a huge head": (struct.pack("<Q", 2**40) + b"{", "no safetensors file"),
}


def test_files_that_are_no_safetensors_are_identified(subtests, tmp_path):
    for case in FOREIGN:
        with subtests.test(case=case):
            content, complaint = FOREIGN[case]
            path = tmp_path / "model.safetensors"
            path.write_bytes(content)
            with pytest.raises(BrokenModel, match=complaint) as caught:
                read_header(path)
            assert str(path) in str(caught.value)


def test_a_truncated_file_names_the_expected_and_the_found_bytes(file):
    content = file.read_bytes()
    file.write_bytes(content[:-5])
    with pytest.raises(BrokenModel, match=r"truncated: 28 bytes of weights were expected, but 23 were found"):
        read_header(file)
    file.write_bytes(content + b"x")
    with pytest.raises(BrokenModel, match=r"extra data after its weights: 28 .* 29 were found"):
        read_header(file)


def test_a_damaged_header_is_refused(subtests, tmp_path):
    for entries in [
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32"}},
        {"a": 7},
        {"__metadata__": 3},
    ]:
        with subtests.test(entries=entries):
            text = json.dumps(entries).encode()
            (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
            with pytest.raises(BrokenModel, match=r"header of .*x\.safetensors is damaged"):
                read_header(tmp_path / "x.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BrokenModel, match=r"no\.safetensors cannot be read"):
        read_header(tmp_path / "no.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has named pipes")
def test_what_is_no_file_is_named_and_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    for path, kind in (
        (tmp_path / "pipe.safetensors", "a named pipe"),
        (tmp_path / "folder.safetensors", "a folder"),
        (Path(os.devnull), "a device"),
    ):
        with pytest.raises(BrokenModel, match=f"is {kind}, not a file"):
            read_header(path)


def test_one_bad_file_hides_no_other(tmp_path):
    write_sparse(tmp_path / "a.safetensors", {"model.diffusion_model.label_emb.0.0.weight": (), "x": (2,)})
    (tmp_path / "b.safetensors").write_bytes(b"\x10" + bytes(40))
    (tmp_path / "c.gguf").write_bytes(b"GGUF" + bytes(40))
    unusual = {
        "model.diffusion_model.label_emb.0.0.weight": (9,),
        "model.diffusion_model.input_blocks.0.0.weight": (9,),
    }
    write_sparse(tmp_path / "d.sft", unusual)
    write_sparse(tmp_path / "e.safetensors", {"clip_l": (1, 768), "clip_g": (1, 1280)})
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = list(scan(tmp_path))
    assert [item.path.name for item in found] == ["a.safetensors", "b.safetensors", "c.gguf", "d.sft", "e.safetensors"]
    assert "GGUF" in found[2].problem and "float8" in found[2].problem
    assert found[4].identity.what == "a textual inversion for SDXL"
