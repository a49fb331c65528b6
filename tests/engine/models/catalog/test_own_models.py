"""Adding one's own models with the public commands, from files as they are published to a layered picture."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from layerfusion.engine import formats
from layerfusion.engine.errors import BrokenModel, DownloadFailed, InvalidRequest, UnknownModel
from layerfusion.engine.image.layers import Role
from layerfusion.engine.models.catalog import library, published
from layerfusion.engine.models.catalog.published import Published, digest_of
from layerfusion.engine.models.catalog.readiness import missing
from layerfusion.engine.models.catalog.registry import FOLDER_VARIABLE, available_models, find_model, manifest_path
from layerfusion.engine.models.catalog.scan import inspect_path, scan
from layerfusion.engine.models.catalog.weight_source import HubWeights, LocalWeights, parse_weight_source
from layerfusion.engine.transparency.key_names import ldm_name
from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder
from layerfusion.server.cli import environment
from layerfusion.server.cli.main import main

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


@pytest.fixture(autouse=True)
def manifests(tmp_path, monkeypatch):
    folder = tmp_path / "manifests"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    for name in environment.ENVIRONMENT:
        monkeypatch.setenv(name, "1" if name == "HF_HUB_OFFLINE" else "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # no test reaches for the network
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


@pytest.fixture(scope="session")
def program(tmp_path_factory, shrunken):
    """A ComfyUI folder with a shrunken SDXL and LayerDiffuse's files under their published names, in float16."""
    root = tmp_path_factory.mktemp("ComfyUI")
    for inside in ("checkpoints", "vae", "loras", "layer_model"):
        (root / "models" / inside).mkdir(parents=True)
    shutil.copy(shrunken.file, root / "models" / "checkpoints" / "My Model XL.safetensors")
    (root / "models" / "checkpoints" / "old.ckpt").write_bytes(b"PK\x03\x04" + bytes(64))
    torch.manual_seed(0)
    deltas = {}
    for name, value in shrunken.unet.state_dict().items():
        target = name.removesuffix(".weight")
        if ".attn" in name and target.endswith(PROJECTIONS):
            rows, columns = value.shape
            key = f"diffusion_model.{ldm_name(target)}.weight::lora::"
            deltas |= {f"{key}0": torch.randn(rows, 4) / 20, f"{key}1": torch.randn(4, columns) / 20}
    with torch.device("meta"):  # the values do not matter; a hundred million random ones take long
        shapes = LayerDiffuseEncoder().state_dict(), LayerDiffuseDecoder().state_dict()
    encoder, decoder = ({key: torch.zeros(value.shape) for key, value in state.items()} for state in shapes)
    networks = {
        "vae_transparent_encoder": encoder,
        "vae_transparent_decoder": decoder,
        "layer_xl_transparent_attn": deltas,
    }
    for name, state in networks.items():
        save_file(
            {key: value.half().contiguous() for key, value in state.items()},
            root / "models" / "layer_model" / f"{name}.safetensors",
        )
    return root


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_from_another_programs_folder_to_a_layered_picture(capsys, program, shrunken, manifests, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "models", "scan", program)
    assert code == 0
    assert "My Model XL.safetensors" in out
    assert "old.ckpt" in out
    assert "pickle" in out
    assert "transparent decoder" in out
    assert "layerfusion models add my-model-xl" in out

    code, out, err = run(capsys, "models", "scan", program, "--add")
    assert code == 0, err
    assert "missing" not in out
    manifest = manifests / "my-model-xl.json"
    values = json.loads(manifest.read_text())
    # What a shrunken model needs to be told, which a real one is not.
    manifest.write_text(json.dumps(values | {"configs": str(shrunken.configs), "native_size": 64}))

    code, out, err = run(
        capsys,
        *("generate", "a glass bottle", "--background", "a wooden table"),
        *("--size", "64x64", "--steps", "2", "--out", "bottle.psd"),
    )
    assert code == 0, err
    stack = formats.load("bottle.psd")
    assert [layer.role for layer in stack][:2] == [Role.BACKGROUND, Role.FOREGROUND]
    assert len(np.unique(stack.layers[0].pixels)) > 10

    code, out, _ = run(capsys, "models")
    assert code == 0
    assert out.startswith("my-model-xl: my-model-xl\n")
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "model my-model-xl: my-model-xl, ready" in out


class TestCheck:
    def test_checking_a_valid_file_identifies_it_and_exits_with_0(self, capsys, program):
        file = program / "models" / "layer_model" / "vae_transparent_decoder.safetensors"
        code, out, _ = run(capsys, "models", "check", file)
        assert code == 0
        assert "LayerDiffuse's transparent decoder, 208.3 MB, float16" in out
        assert "fits: it can be used as the transparent decoder" in out

    def test_a_model_of_another_size_is_not_sdxl(self, capsys, shrunken):
        code, out, err = run(capsys, "models", "check", shrunken.file)
        assert code == 1
        assert "SDXL checkpoint" in out
        assert "lacks" in out
        assert "1 of 1 cannot be used" in err

    def test_a_pickle_is_refused_with_reason_and_remedy(self, capsys, program):
        code, out, _ = run(capsys, "models", "check", program / "models" / "checkpoints" / "old.ckpt")
        assert code == 1
        assert "never opens one" in out
        assert ".safetensors version" in out

    def test_a_folder_in_diffusers_layout(self, capsys, shrunken, tmp_path):
        shutil.copytree(shrunken.folder, tmp_path / "folder")
        (tmp_path / "folder" / "model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
        code, out, _ = run(capsys, "models", "check", tmp_path / "folder")
        assert code == 0
        assert "SDXL model, a folder in diffusers layout" in out


class TestTransparentNetworks:
    """The networks for Stable Diffusion 1.5 have the names and shapes of those for SDXL; their bytes tell."""

    @pytest.fixture
    def folder(self, tmp_path, program):
        """ComfyUI's folder with the networks for both base models; the wrong one comes first by name."""
        (tmp_path / "models").mkdir()
        right = program / "models" / "layer_model" / "vae_transparent_decoder.safetensors"
        state = load_file(right)
        state["conv_in.bias"] = state["conv_in.bias"] + 1
        save_file(state, tmp_path / "models" / "layer_sd15_vae_transparent_decoder.safetensors")
        shutil.copy(right, tmp_path / "models" / "vae_transparent_decoder.safetensors")
        return tmp_path

    def published_as(self, monkeypatch, **bases):
        """Let files count as published, as if their SHA-256 stood in the table."""
        digests = {
            digest_of(path)[:12]: Published(path.name, "LayerDiffusion/layerdiffusion-v1", base)
            for base, path in ((base.replace("_", " "), path) for base, path in bases.items())
        }
        monkeypatch.setattr(published, "DIGESTS", digests)

    def test_the_published_file_is_chosen(self, folder, monkeypatch):
        wrong, right = sorted((folder / "models").iterdir())
        self.published_as(monkeypatch, SDXL=right, **{"Stable_Diffusion_1.5": wrong})
        assert library.find_parts(scan(folder)) == {"decoder": str(right.resolve())}
        assert inspect_path(wrong).identity.what == "LayerDiffuse's transparent decoder for Stable Diffusion 1.5"
        assert inspect_path(right).identity.what == "LayerDiffuse's transparent decoder for SDXL, the published file"

    def test_a_renamed_file_for_stable_diffusion_15_is_refused(self, capsys, folder, monkeypatch, shrunken):
        wrong, right = sorted((folder / "models").iterdir())
        self.published_as(monkeypatch, **{"Stable_Diffusion_1.5": wrong})
        wrong = wrong.replace(right)
        code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--decoder", wrong)
        assert code == 1
        assert "for Stable Diffusion 1.5" in err
        assert "vae_transparent_decoder.safetensors from LayerDiffusion/layerdiffusion-v1" in err

    def test_a_file_that_is_not_published_is_taken_if_it_is_the_only_one(self, folder):
        wrong, right = sorted((folder / "models").iterdir())
        assert library.find_parts(scan(folder)) == {"decoder": str(right.resolve())}
        assert "Its name says that it is not" in inspect_path(wrong).identity.warning
        right.unlink()
        assert library.find_parts(scan(folder)) == {}

    def test_several_unknown_files_are_not_chosen_from(self, capsys, folder, shrunken):
        wrong, right = sorted((folder / "models").iterdir())
        other = wrong.rename(folder / "models" / "a.safetensors")
        code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--models-dir", folder)
        assert code == 1
        assert "Several different files could be the transparent decoder" in err
        assert "--decoder" in err
        code, _, err = run(capsys, "models", "add", "m", shrunken.file, "--models-dir", folder, "--decoder", other)
        assert code == 0, err
        assert find_model_values("m")["transparency"]["decoder"] == str(other)
        shutil.copy(right, other)
        assert library.find_parts(scan(folder)) == {"decoder": str(other.resolve())}, "copies are one file"


def find_model_values(name):
    return json.loads(manifest_path(name).read_text())


class TestAdd:
    def test_missing_parts_are_listed_with_size_and_command(self, capsys, shrunken):
        code, out, _ = run(capsys, "models", "add", "mine", shrunken.file, "--title", "Mine")
        assert code == 0
        assert "hf:LayerDiffusion/layerdiffusion-v1@main/layer_xl_transparent_attn.safetensors, 743 MB" in out
        assert "layerfusion models pull mine" in out
        code, out, _ = run(capsys, "models", "show", "mine")
        assert code == 0
        assert "foreground deltas: MISSING" in out
        code, _, err = run(capsys, "generate", "a", "--background", "b", "--model", "mine", "--out", "x.psd")
        assert code == 1
        assert "not complete" in err
        assert [spec.name for spec in available_models()] == ["tiny"]
        code, out, _ = run(capsys, "doctor")
        assert code == 0
        assert "missing transparent decoder" in out
        assert "208 MB" in out

    def test_few_step_models_draw_in_few_steps_without_guidance(self, capsys, shrunken, program, manifests):
        lora = program / "models" / "loras" / "lightning.safetensors"
        name = "lora_unet_mid_block_attentions_0_proj_in"
        save_file({f"{name}.lora_up.weight": torch.zeros(64, 2), f"{name}.lora_down.weight": torch.zeros(2, 64)}, lora)
        code, _, err = run(
            capsys,
            *("models", "add", "fast", shrunken.file, "--lora", f"{lora}=0.8", "--few-steps", "lightning"),
            *("--models-dir", program),
        )
        assert code == 0, err
        spec = find_model("fast")
        assert (spec.defaults.steps, spec.defaults.guidance_scale, spec.defaults.sampler) == (8, 1.0, "euler")
        assert spec.loras[0].weight == 0.8
        from layerfusion.engine.models.runtime.loading import load_model

        manifest = manifests / "fast.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"configs": str(shrunken.configs)}))
        bundle = load_model(find_model("fast"))
        assert bundle.scheduler_config["timestep_spacing"] == "trailing"
        assert bundle.spec.transparency.offset_factor == 300.0

    def test_a_few_step_lora_can_be_for_the_preset_fast_alone(self, capsys, shrunken, program, manifests):
        lora = program / "models" / "loras" / "hyper.safetensors"
        name = "lora_unet_mid_block_attentions_0_proj_in"
        save_file({f"{name}.lora_up.weight": torch.zeros(64, 2), f"{name}.lora_down.weight": torch.zeros(2, 64)}, lora)
        given = ("models", "add", "both", shrunken.file, "--models-dir", program, "--fast-lora")
        code, _, err = run(capsys, *given, f"{lora}=turbo")
        assert code == 2 and "does not say of which kind" in err
        code, _, err = run(capsys, *given, f"{shrunken.file}=hyper")
        assert code == 1 and "given as the few-step adapter" in err
        code, _, err = run(capsys, *given, f"{lora}=hyper")
        assert code == 0, err
        spec = find_model("both")
        usual = spec.defaults.fusion
        assert spec.loras == () and spec.defaults_with(usual) == spec.defaults
        fast = spec.defaults_with(usual.preset("fast"))
        assert (fast.steps, fast.guidance_scale, fast.sampler) == (8, 1.0, "ddim")
        code, out, _ = run(capsys, "models", "show", "both")
        assert f"few-step adapter: {lora}" in out and "preset fast: 8 steps, guidance 1, sampler DDIM" in out
        lora.unlink()
        assert [part.role for part in missing(spec)][:1] == ["few-step adapter"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["tiny", "x"], "“tiny” cannot be the name"),
            (["Big Name", "x"], "cannot be the name"),
            (["m", "nowhere.safetensors"], "no file"),
            (["m", "{deltas}"], "given as the checkpoint, but it is LayerDiffuse's"),
            (["m", "{file}", "--decoder", "{deltas}"], "given as the transparent decoder"),
            (["m", "{file}", "--lora", "{file}"], "given as the LoRA"),
            (["m", "{file}", "--lora", "{deltas}=much"], "no weight of a LoRA"),
            (["m", "hf:nonsense"], "no address"),
            (["m", "{file}", "--steps", "0"], "--steps: “0”"),
            (["m", "{file}", "--sampler", "Restart"], "DPM++ 2M Karras"),
            (["m", "{file}", "--lora", "{deltas}=9"], "is 9.0; it must be -4 to 4"),
        ],
    )
    def test_invalid_additions_are_refused_and_nothing_is_written(
        self, capsys, shrunken, program, manifests, arguments, words
    ):
        deltas = program / "models" / "layer_model" / "layer_xl_transparent_attn.safetensors"
        code, _, err = run(capsys, "models", "add", *(a.format(file=shrunken.file, deltas=deltas) for a in arguments))
        assert code in (1, 2)
        assert words in err
        assert not list(manifests.glob("*.json"))


class TestPull:
    def test_downloads_are_pinned_to_their_commit(self, program, shrunken, tmp_path):
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

    def test_a_downloaded_file_of_another_kind_is_refused(self, program, tmp_path):
        def fetch(place):
            return place, program / "models" / "layer_model" / "vae_transparent_encoder.safetensors"

        with pytest.raises(BrokenModel, match=r"given as the checkpoint, but it is LayerDiffuse's"):
            library.pull("sdxl", fetch, lambda line: None)

    def test_offline_mode_is_respected_and_reported(self, capsys, manifests):
        code, _, err = run(capsys, "models", "pull", "sdxl")
        assert code == 1
        assert "offline mode is on (HF_HUB_OFFLINE)" in err
        assert not list(manifests.glob("*.json"))

    def test_an_interrupted_download_can_be_continued(self, manifests):
        def fetch(place):
            if place.file:
                raise DownloadFailed("The line is cut.")
            return HubWeights(place.repo, "1" * 40), manifests

        with pytest.raises(DownloadFailed):
            library.pull("sdxl", fetch, print)
        assert (manifests / "sdxl.json").is_file()

    def test_the_embedded_model_needs_no_download(self, capsys):
        code, out, _ = run(capsys, "models", "pull", "tiny")
        assert code == 0
        assert "nothing to download" in out

    def test_an_unknown_name_lists_the_known_names(self):
        with pytest.raises(UnknownModel, match="sdxl-lightning"):
            library.pull("nonsense", lambda place: (place, Path()), print)


class TestPlaces:
    def test_addresses_survive_parsing_and_formatting(self, tmp_path):
        for text in ("hf:a/b@main", "hf:a/b@1234/c/d.safetensors"):
            assert str(parse_weight_source(text)) == text
        assert parse_weight_source("hf:a/b/c.safetensors") == HubWeights("a/b", "main", "c.safetensors")
        assert parse_weight_source("x/y", tmp_path) == LocalWeights(tmp_path / "x" / "y")

    def test_invalid_addresses_are_refused(self, subtests):
        for text in ["hf:", "hf:a", "hf:a/b/../../etc/passwd", "hf:a/b@", "hf:a b/c", "", " "]:
            with subtests.test(text=text), pytest.raises(InvalidRequest, match=r"no address|no path of a file"):
                parse_weight_source(text)

    def test_a_file_that_was_not_downloaded_has_no_path(self):
        assert HubWeights("a/b", file="c.safetensors").locate() is None
        assert HubWeights("a/b").locate() is None

    def test_an_incomplete_download_is_not_a_model(self, tmp_path):
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

    def test_a_cached_file_is_found_offline(self, tmp_path):
        commit = "0" * 40
        folder = tmp_path / "hub" / "models--a--b"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(commit)
        file = folder / "snapshots" / commit / "c.safetensors"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
        assert HubWeights("a/b", file="c.safetensors").locate() == file


def test_a_manifest_that_cannot_be_read_is_reported_and_skipped(capsys, manifests):
    manifests.mkdir()
    (manifests / "bad.json").write_text("{")
    code, out, _ = run(capsys, "models", "list")
    assert code == 0
    assert "not read:" in out
    assert "bad.json" in out
    assert [spec.name for spec in available_models()] == ["tiny"]


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
    from layerfusion.engine.models.catalog import hub

    def broken(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub, "hf_hub_download", broken)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(DownloadFailed, match="No space left on device"):
        hub.fetch(HubWeights("a/b", file="c"))
