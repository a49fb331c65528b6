"""Identification of files by their headers, which have SDXL's full shapes but no weights behind them."""

import json
import math
import struct
from pathlib import Path

import pytest
import torch

from layerfusion.engine.models.catalog.compatibility import mismatches
from layerfusion.engine.models.catalog.identify import identify, precision
from layerfusion.engine.models.catalog.identity import Use
from layerfusion.engine.models.catalog.safetensors_header import Header, TensorInfo, read_header
from layerfusion.engine.transparency.key_names import ldm_name
from sdxl_files import checkpoint_shapes
from sparse_files import write_sparse

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


def head(shapes, dtype="F16", **metadata):
    tensors = {name: TensorInfo(dtype, tuple(shape)) for name, shape in shapes.items()}
    return Header(file=Path("file.safetensors"), tensors=tensors, metadata=metadata)


@pytest.fixture(scope="module")
def unet(full_unet):
    return {name: tuple(value.shape) for name, value in full_unet.state_dict().items()}


@pytest.fixture(scope="module")
def checkpoint():
    return checkpoint_shapes()


def attention(unet):
    return {
        name.removesuffix(".weight"): shape
        for name, shape in unet.items()
        if ".attn" in name and name.removesuffix(".weight").endswith(PROJECTIONS)
    }


def low_rank(unet, key, rank=256):
    shapes = {}
    for name, (rows, columns) in attention(unet).items():
        shapes |= {key(name, 0): (rows, rank), key(name, 1): (rank, columns)}
    return shapes


def forge(name, half):
    return f"diffusion_model.{ldm_name(name)}.weight::lora::{half}"


def kohya(name, half):
    return f"lora_unet_{ldm_name(name)}".replace(".", "_") + f".lora_{('up', 'down')[half]}.weight"


def beyond_attention(unet, channels):
    return {
        name: (320, channels, 3, 3) if name == "conv_in.weight" else shape
        for name, shape in unet.items()
        if not name.endswith((".to_q.weight", ".to_k.weight", ".to_v.weight"))
        and not name.startswith(("time_embedding", "add_embedding"))
    }


class TestWhatFits:
    def test_a_checkpoint(self, checkpoint):
        found = identify(head(checkpoint))
        assert (found.use, found.what) == (Use.CHECKPOINT, "SDXL checkpoint, a single file")
        assert (found.remedy, found.warning) == ("", "")
        assert mismatches(head(checkpoint), Use.CHECKPOINT) == []

    def test_a_checkpoint_without_a_vae_says_how_to_add_one(self, checkpoint):
        shapes = {name: shape for name, shape in checkpoint.items() if "first_stage" not in name}
        found = identify(head(shapes))
        assert found.use is Use.CHECKPOINT
        assert "--vae" in found.remedy

    @pytest.mark.parametrize(("key", "form"), [(forge, "Forge"), (kohya, "kohya")])
    def test_the_low_rank_deltas(self, unet, key, form):
        shapes = low_rank(unet, key)
        found = identify(head(shapes))
        assert found.use is Use.DELTAS
        assert form in found.what
        assert mismatches(head(shapes), Use.DELTAS) == []

    def test_the_dense_deltas(self, unet):
        shapes = {f"{name}.weight": shape for name, shape in attention(unet).items()}
        assert identify(head(shapes)).use is Use.DELTAS
        assert mismatches(head(shapes), Use.DELTAS) == []

    def test_the_transparent_networks(self, tmp_path):
        from layerfusion.engine.transparency.layerdiffuse import LayerDiffuseDecoder, LayerDiffuseEncoder

        for network, use in ((LayerDiffuseEncoder, Use.ENCODER), (LayerDiffuseDecoder, Use.DECODER)):
            with torch.device("meta"):
                shapes = {name: tuple(value.shape) for name, value in network().state_dict().items()}
            header = read_header(write_sparse(tmp_path / "file.safetensors", shapes))
            assert identify(header).use is use
            assert "same tensors" in identify(header).warning
            assert mismatches(header, use) == []

    def test_an_artists_lora(self, unet):
        shapes = low_rank(unet, kohya, rank=16)
        shapes |= {name.replace("lora_up.weight", "alpha"): () for name in list(shapes) if "lora_up" in name}
        found = identify(head(shapes))
        assert (found.use, found.what) == (Use.LORA, "SDXL LoRA of rank 16")
        assert mismatches(head(shapes), Use.LORA) == []

    def test_a_textual_inversion(self):
        for names in (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")):
            header = head(dict(zip(names, ((8, 768), (8, 1280)), strict=True)))
            assert identify(header).use is Use.INVERSION
            assert mismatches(header, Use.INVERSION) == []
            other = head(dict(zip(names, ((8, 768), (7, 1280)), strict=True)))
            assert "as many of 768 and 1280" in mismatches(other, Use.INVERSION)[0]

    def test_a_vae(self):
        shapes = {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (512, 4, 3, 3)}
        assert identify(head(shapes)).use is Use.VAE


class TestWhatDoesNot:
    def test_the_conv_variant_names_the_file_to_use(self, unet):
        shapes = beyond_attention(unet, 4)
        assert len(shapes) == 1252
        found = identify(head(shapes))
        assert found.use is None
        assert "“conv” variant" in found.what
        assert "layer_xl_transparent_attn.safetensors from LayerDiffusion/layerdiffusion-v1" in found.remedy

    @pytest.mark.parametrize("channels", [8, 12])
    def test_the_conditional_models_are_not_needed(self, unet, channels):
        shapes = {name: s for name, s in beyond_attention(unet, channels).items() if "attentions" not in name}
        assert len(shapes) == 206
        for written in (shapes, {f"diffusion_model.{ldm_name(n)}::diff::0": s for n, s in shapes.items()}):
            found = identify(head(written))
            assert found.use is None
            assert f"{channels} input channels" in found.what
            assert "needs no such model" in found.remedy

    def test_other_files_are_identified(self, subtests):
        diffusers = {"conv_in.weight": (320, 4, 3, 3), "time_embedding.linear_1.weight": (1280, 320)}
        for shapes, words in [
            ({"hookers.layers.0.x": (1,)}, "Stable Diffusion 1.5"),
            ({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "Stable Diffusion 1 or 2"),
            ({"model.diffusion_model.double_blocks.0.x": (1,)}, "a checkpoint of Flux"),
            ({"model.diffusion_model.joint_blocks.0.x": (1,)}, "a checkpoint of Stable Diffusion 3"),
            ({"blocks.0.cross_attn.k.weight": (1,)}, "a network of Wan"),
            ({"diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "a UNet of Stable Diffusion 1 or 2"),
            ({"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)}, "a ControlNet"),
            ({"emb_params": (8, 768)}, "a textual inversion for Stable Diffusion 1"),
            ({"image_proj.norm.weight": (8,)}, "an IP-Adapter"),
            ({"text_model.encoder.layers.0.mlp.fc1.weight": (8, 8)}, "a CLIP text encoder alone"),
            ({"up_blocks.0.resnets.0.conv1.weight": (2, 2, 3, 3), "x": ()}, "one file of several"),
            ({**diffusers, "add_embedding.linear_1.weight": (1280, 5632)}, "Kolors"),
            ({**diffusers, "add_embedding.linear_1.weight": (1280, 2560)}, "refiner"),
            ({**diffusers, "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}, "a ControlNet"),
            ({"lora_unet_a.oft_diag": (1, 1)}, "OFT"),
            ({"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (8, 9)}, "a LoRA for Flux"),
            ({"lora_unet_double_blocks_0_img_attn_proj.lora_down.weight": (8, 9)}, "a LoRA for Flux"),
            ({"diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight": (8, 9)}, "Stable Diffusion 3"),
            ({"diffusion_model.blocks.0.cross_attn.k.lora_A.weight": (8, 9)}, "a LoRA for Wan"),
            ({"diffusion_model.layers.0.attention.to_q.lora_A.weight": (8, 9)}, "a LoRA for Z-Image"),
            ({"transformer_blocks.0.img_mlp.net.2.lora_A.weight": (8, 9)}, "a LoRA for Qwen-Image"),
            ({"lora_unet_x_attn2_to_k.lora_down.weight": (8, 768)}, "LoRA for Stable Diffusion 1"),
            ({"decoder.conv_in.weight": (512, 16, 3, 3), "encoder.conv_in.weight": (1,)}, "16 channels"),
            ({"clip_l": (8, 768)}, "of an unknown kind"),
            ({}, "0 tensors: nothing"),
        ]:
            with subtests.test(shapes=shapes, words=words):
                found = identify(head(shapes))
                assert found.use is None
                assert words in found.what
                assert found.remedy

    def test_the_refiner_and_inpainting(self, checkpoint):
        label, conv = "model.diffusion_model.label_emb.0.0.weight", "model.diffusion_model.input_blocks.0.0.weight"
        assert "refiner" in identify(head(checkpoint | {label: (1280, 2560)})).what
        assert "inpainting (9 input" in identify(head(checkpoint | {conv: (320, 9, 3, 3)})).what
        assert "InstructPix2Pix" in identify(head(checkpoint | {conv: (320, 8, 3, 3)})).what
        assert "Kolors" in identify(head(checkpoint | {label: (1280, 5632)})).what
        assert "Playground v2.5" in identify(head(checkpoint | {"edm_mean": (4,), "edm_std": (4,)})).what

    def test_a_checkpoint_of_another_size_names_the_expected_and_the_found_shape(self, checkpoint):
        name = "model.diffusion_model.middle_block.0.in_layers.2.weight"
        shapes = checkpoint | {name: (640, 640, 3, 3)}
        (fault,) = mismatches(head(shapes), Use.CHECKPOINT)
        assert "(640, 640, 3, 3); the expected shape is (1280, 1280, 3, 3)" in fault
        del shapes[name]
        (fault,) = mismatches(head(shapes), Use.CHECKPOINT)
        assert "lacks 1 of 1680 tensors (first: middle_block.0.in_layers.2.weight)" in fault

    def test_incomplete_deltas_name_the_missing_projections(self, unet):
        shapes = low_rank(unet, forge)
        name = next(iter(attention(unet)))
        del shapes[forge(name, 0)], shapes[forge(name, 1)]
        (fault,) = mismatches(head(shapes), Use.DELTAS)
        assert "1 of 560 projections are missing" in fault


class TestLineage:
    @pytest.mark.parametrize("told", ["Illustrious XL v2", "based on NoobAI", "a merge " * 1000 + "of noobai-xl"])
    def test_checkpoints_far_from_sdxl_get_a_warning(self, checkpoint, told):
        found = identify(head(checkpoint, **{"modelspec.title": told}))
        assert found.use is Use.CHECKPOINT
        assert "opaque or tinted" in found.warning

    def test_v_prediction_gets_a_warning(self, checkpoint):
        assert "v-prediction" in identify(head(checkpoint | {"v_pred": ()})).warning

    @pytest.mark.parametrize("told", ["Juggernaut XL", "Pony Diffusion V6"])
    def test_other_checkpoints_get_no_warning(self, checkpoint, told):
        assert identify(head(checkpoint, **{"modelspec.title": told})).warning == ""


def test_no_header_makes_the_test_fail_in_another_way(subtests):
    """Random names and shapes were tried too; these went wrong."""
    forge = {"diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight::lora::0": (640, 256)}
    for shapes in (
        {"x": (1,)},
        {},
        forge | {"conv_in.weight": (0,)},
        {"lora_unet_x.hada_t1": ()},
        {"clip_l": (1, 768)},
    ):
        header = head(shapes)
        with subtests.test(shapes=shapes):
            assert identify(header).what
            assert all(mismatches(header, use) for use in Use), "it fits nothing"


def test_the_file_name_has_no_influence(tmp_path):
    path = tmp_path / "layer_xl_transparent_attn.safetensors"
    text = json.dumps({"x": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    assert identify(read_header(path)).use is None


def test_precision_names_the_dtypes():
    assert precision(head({"a": (1,)}, "BF16")) == "bfloat16"
    assert math.prod(TensorInfo("F32", ()).shape) == 1
