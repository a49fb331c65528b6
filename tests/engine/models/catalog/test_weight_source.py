"""Where a file is: a path, or an address on Hugging Face."""

import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.engine.models.catalog.weight_source import HubWeights, LocalWeights, parse_weight_source

pytestmark = pytest.mark.usefixtures("manifests")


def test_addresses_survive_parsing_and_formatting(tmp_path):
    for text in ("hf:a/b@main", "hf:a/b@1234/c/d.safetensors"):
        assert str(parse_weight_source(text)) == text
    assert parse_weight_source("hf:a/b/c.safetensors") == HubWeights("a/b", "main", "c.safetensors")
    assert parse_weight_source("x/y", tmp_path) == LocalWeights(tmp_path / "x" / "y")


def test_invalid_addresses_are_refused(subtests):
    for text in ["hf:", "hf:a", "hf:a/b/../../etc/passwd", "hf:a/b@", "hf:a b/c", "", " "]:
        with subtests.test(text=text), pytest.raises(InvalidRequest, match=r"no address|no path of a file"):
            parse_weight_source(text)


def test_a_file_that_was_not_downloaded_has_no_path():
    assert HubWeights("a/b", file="c.safetensors").locate() is None
    assert HubWeights("a/b").locate() is None


def test_an_incomplete_download_is_not_a_model(tmp_path):
    commit = "0" * 40
    folder = tmp_path / "hub" / "models--a--b"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    snapshot = folder / "snapshots" / commit
    for name in ("model_index.json", "unet/a.safetensors", "vae/a.safetensors", "text_encoder/a.safetensors"):
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).write_bytes(b"")
        assert HubWeights("a/b").locate() is None
    (snapshot / "text_encoder_2").mkdir()
    (snapshot / "text_encoder_2" / "a.safetensors").write_bytes(b"")
    assert HubWeights("a/b").locate() == snapshot


def test_a_cached_file_is_found_offline(tmp_path):
    commit = "0" * 40
    folder = tmp_path / "hub" / "models--a--b"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    file = folder / "snapshots" / commit / "c.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert HubWeights("a/b", file="c.safetensors").locate() == file
