"""Fetching models, with a fake in place of the network."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from commands import run
from layerfusion.engine.errors import BrokenModel, DownloadFailed, UnknownModel
from layerfusion.engine.models.catalog import hub, library
from layerfusion.engine.models.catalog.weight_source import HubWeights

pytestmark = pytest.mark.usefixtures("manifests", "sdxl_is_shrunken")


def test_downloads_are_pinned_to_their_commit(program, shrunken, tmp_path):
    """A fake replaces the network, because tests run offline."""
    commit, asked = "0123456789abcdef0123456789abcdef01234567", []

    def fetch(place):
        asked.append(str(place))
        path = tmp_path / "hub" / "snapshots" / commit / place.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if place.file:
            shutil.copy(program / "models" / "layer_model" / place.file, path)
        return HubWeights(place.repo, commit, place.file), path

    said = []
    spec = library.pull("sdxl", fetch, said.append)
    assert len(asked) == 4
    assert spec.checkpoint == HubWeights("stabilityai/stable-diffusion-xl-base-1.0", commit)
    assert all(place.revision == commit for place in (spec.transparency.deltas, spec.transparency.decoder))
    assert any("transparent encoder: hf:" in line for line in said)


def test_a_downloaded_file_of_another_kind_is_refused(program, tmp_path):
    def fetch(place):
        return place, program / "models" / "layer_model" / "vae_transparent_encoder.safetensors"

    with pytest.raises(BrokenModel, match=r"given as the checkpoint, but it is LayerDiffuse's"):
        library.pull("sdxl", fetch, lambda line: None)


def test_offline_mode_is_respected_and_reported(capsys, manifests):
    code, _, err = run(capsys, "models", "pull", "sdxl")
    assert code == 1
    assert "offline mode is on (HF_HUB_OFFLINE)" in err
    assert not list(manifests.glob("*.json"))


def test_an_interrupted_download_can_be_continued(manifests):
    def fetch(place):
        if place.file:
            raise DownloadFailed("The line is cut.")
        return HubWeights(place.repo, "1" * 40), manifests / "snapshot"

    with pytest.raises(DownloadFailed):
        library.pull("sdxl", fetch, print)
    assert (manifests / "sdxl.json").is_file()


def test_the_embedded_model_needs_no_download(capsys):
    code, out, _ = run(capsys, "models", "pull", "tiny")
    assert code == 0
    assert "nothing to download" in out


def test_an_unknown_name_lists_the_known_names():
    with pytest.raises(UnknownModel, match="sdxl-lightning"):
        library.pull("nonsense", lambda place: (place, Path()), print)


def test_only_one_set_of_weights_of_a_repository_is_downloaded():
    from layerfusion.engine.models.catalog.hub import wanted_files

    names = [
        "model_index.json",
        "sd_xl_base_1.0.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/model.onnx",
        "vae/diffusion_pytorch_model.safetensors",
        "vae_1_0/diffusion_pytorch_model.safetensors",
        "text_encoder/model.bin",
        "text_encoder/model.fp16.safetensors",
    ]
    wanted = wanted_files(names)
    assert [name for name in wanted if name in names and name.endswith(".safetensors")] == [
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.fp16.safetensors",
    ]
    assert not [name for name in wanted if name.endswith((".bin", ".onnx"))]


def test_a_failed_download_gives_the_reason(monkeypatch):

    def broken(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "hf_hub_download", broken)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(DownloadFailed, match="No space left on device"):
        hub.fetch(HubWeights("a/b", file="c"))
