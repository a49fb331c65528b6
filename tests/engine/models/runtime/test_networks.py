import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.runtime.checkpoints import open_checkpoint
from layerfusion.engine.models.runtime.networks import add_network
from layerfusion.engine.models.runtime.prompt_networks import left_out
from layerfusion.engine.transparency.key_names import ldm_name

LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.0.mlp.fc1"


@pytest.fixture
def components(shrunken):
    checkpoint = open_checkpoint(shrunken.folder)
    first, second = checkpoint.text_encoders(torch.float32)
    return {"unet": checkpoint.unet(torch.float32), "text_encoder": first, "text_encoder_2": second}


def weight_of(components, component, name):
    return next(value for key, value in components[component].named_parameters() if key.endswith(f"{name}.weight"))


def lora(shape, generator, rank=4):
    """The LoRA matrices `up` and `down` for a weight of this shape."""
    up = torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator)
    return up, torch.randn(rank, *shape[1:], generator=generator)


def kohya(name):
    return "lora_unet_" + name.replace(".", "_")


FORMS = {
    "kohya, original names": lambda up, down: {
        f"{kohya(ldm_name(LINEAR))}.lora_up.weight": up,
        f"{kohya(ldm_name(LINEAR))}.lora_down.weight": down,
    },
    "kohya, diffusers' names": lambda up, down: {
        f"{kohya(LINEAR)}.lora_up.weight": up,
        f"{kohya(LINEAR)}.lora_down.weight": down,
    },
    "diffusers": lambda up, down: {f"unet.{LINEAR}.lora.up.weight": up, f"unet.{LINEAR}.lora.down.weight": down},
    "PEFT": lambda up, down: {f"unet.{LINEAR}.lora_B.weight": up, f"unet.{LINEAR}.lora_A.weight": down},
    "PEFT, bare": lambda up, down: {
        f"base_model.model.{LINEAR}.lora_B.weight": up,
        f"base_model.model.{LINEAR}.lora_A.weight": down,
    },
    "old diffusers": lambda up, down: {
        f"unet.{LINEAR.removesuffix('.to_k')}.processor.to_k_lora.up.weight": up,
        f"unet.{LINEAR.removesuffix('.to_k')}.processor.to_k_lora.down.weight": down,
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_adds_the_same(components, tmp_path, form):
    before = weight_of(components, "unet", LINEAR).clone()
    up, down = lora(before.shape, torch.Generator().manual_seed(1))
    save_file(FORMS[form](up, down), tmp_path / "l.safetensors")
    add_network(tmp_path / "l.safetensors", 0.5, components)
    torch.testing.assert_close(weight_of(components, "unet", LINEAR), before + 0.5 * up @ down)


def test_alpha_scales_and_convolutions_and_text_encoders_change_too(components, tmp_path):
    generator, state, expected = torch.Generator().manual_seed(2), {}, {}
    for prefix, component, name in (
        (kohya(ldm_name(CONV)), "unet", CONV),
        ("lora_te1_text_model_" + TEXT.replace(".", "_"), "text_encoder", TEXT),
        ("lora_te2_text_model_" + TEXT.replace(".", "_"), "text_encoder_2", TEXT),
    ):
        before = weight_of(components, component, name).clone()
        up, down = lora(before.shape, generator)
        state |= {
            f"{prefix}.lora_up.weight": up,
            f"{prefix}.lora_down.weight": down,
            f"{prefix}.alpha": torch.tensor(2.0),
        }
        expected[component, name] = before + (up.flatten(1) @ down.flatten(1)).reshape(before.shape) * 2 / 4
    save_file(state, tmp_path / "l.safetensors")
    add_network(tmp_path / "l.safetensors", 1.0, components)
    for (component, name), value in expected.items():
        torch.testing.assert_close(weight_of(components, component, name), value)


def test_each_layer_of_a_file_acts_with_its_own_alpha(components, tmp_path):
    """diffusers' loader gives all attention layers one alpha, also those that have none."""
    alphas = {"to_q": 1.0, "to_k": 2.0, "to_v": None, "to_out.0": 4.0}
    block = LINEAR.rpartition(".")[0]
    generator, state, expected = torch.Generator().manual_seed(6), {}, {}
    for layer, alpha in alphas.items():
        name = f"{block}.{layer}"
        before = weight_of(components, "unet", name).clone()
        up, down = lora(before.shape, generator)
        state |= {f"{kohya(name)}.lora_up.weight": up, f"{kohya(name)}.lora_down.weight": down}
        if alpha is not None:
            state[f"{kohya(name)}.alpha"] = torch.tensor(alpha)
        expected[name] = before + up @ down * (1 if alpha is None else alpha / len(down))
    save_file(state, tmp_path / "l.safetensors")
    add_network(tmp_path / "l.safetensors", 1.0, components)
    for name, value in expected.items():
        torch.testing.assert_close(weight_of(components, "unet", name), value)


def test_diffusers_names_of_the_text_encoders(components, tmp_path):
    before = weight_of(components, "text_encoder_2", TEXT).clone()
    up, down = lora(before.shape, torch.Generator().manual_seed(3))
    stem = f"text_encoder_2.text_model.{TEXT}.lora_linear_layer"
    save_file({f"{stem}.up.weight": up, f"{stem}.down.weight": down}, tmp_path / "l.safetensors")
    add_network(tmp_path / "l.safetensors", -1.0, components)
    torch.testing.assert_close(weight_of(components, "text_encoder_2", TEXT), before - up @ down)


def described(**config):
    """The metadata field in which diffusers stores PEFT's configuration of the UNet's LoRA."""
    return {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in config.items()})}


class TestStrength:
    """The factors are those that diffusers with PEFT applies; they were compared with it."""

    STEM = f"unet.{LINEAR}"

    def added(self, components, file, state, metadata):
        before = weight_of(components, "unet", LINEAR).clone()
        save_file(state, file, metadata=metadata)
        add_network(file, 1.0, components)
        return weight_of(components, "unet", LINEAR) - before

    @pytest.mark.parametrize(
        ("config", "factor"),
        [
            ({"r": 4, "lora_alpha": 8}, 2.0),
            ({"r": 4, "lora_alpha": 1}, 0.25),
            ({"r": 4, "lora_alpha": 0.7, "use_rslora": True}, 0.35),
            ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"attn1.to_k": 1, "attn2.to_k": 2}}, 0.5),
            ({"r": 8, "lora_alpha": 8, "rank_pattern": {"^mid.*": 2, r"down_blocks\.\d+.*attn[2]\.to_k": 4}}, 2.0),
            ({"r": 8, "lora_alpha": 8, "rank_pattern": {"to_k": 4}}, 2.0),
            ({"r": 4, "lora_alpha": 8, "rank_pattern": {"^attn2.to_k": 1}}, 2.0),
        ],
    )
    def test_alpha_and_rank_of_the_metadata_scale(self, components, tmp_path, config, factor):
        up, down = lora((64, 64), torch.Generator().manual_seed(1))
        state = {f"{self.STEM}.lora_B.weight": up, f"{self.STEM}.lora_A.weight": down}
        change = self.added(components, tmp_path / "l.safetensors", state, described(**config))
        torch.testing.assert_close(change, factor * up @ down, atol=1e-5, rtol=1e-5)

    def test_an_alpha_of_the_module_has_precedence(self, components, tmp_path):
        up, down = lora((64, 64), torch.Generator().manual_seed(1))
        state = {
            f"{self.STEM}.lora_B.weight": up,
            f"{self.STEM}.lora_A.weight": down,
            f"{self.STEM}.alpha": torch.tensor(3.0),
        }
        change = self.added(components, tmp_path / "l.safetensors", state, described(r=4, lora_alpha=8))
        torch.testing.assert_close(change, 0.75 * up @ down, atol=1e-5, rtol=1e-5)

    def test_the_configuration_beside_a_file_of_pefts_counts(self, components, tmp_path):
        up, down = lora((64, 64), torch.Generator().manual_seed(1))
        state = {f"base_model.model.{LINEAR}.lora_B.weight": up, f"base_model.model.{LINEAR}.lora_A.weight": down}
        (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 16, "use_rslora": false}')
        change = self.added(components, tmp_path / "adapter_model.safetensors", state, None)
        torch.testing.assert_close(change, 4 * up @ down, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize(
        "text",
        [
            "{",
            "[]",
            '{"unet.r": 0}',
            '{"unet.r": "x"}',
            '{"unet.lora_alpha": Infinity}',
            '{"unet.alpha_pattern": {"(a*)*b": 1}}',
            '{"unet.rank_pattern": {"(a": 1}}',
        ],
    )
    def test_damaged_metadata_is_refused(self, components, tmp_path, text):
        up, down = lora((64, 64), torch.Generator().manual_seed(1))
        state = {f"{self.STEM}.lora_B.weight": up, f"{self.STEM}.lora_A.weight": down}
        with pytest.raises(BrokenModel, match=r"lora_adapter_metadata.* is damaged"):
            self.added(components, tmp_path / "l.safetensors", state, {"lora_adapter_metadata": text})


def random(generator, *shape):
    return torch.randn(*shape, generator=generator)


def locon_with_mid(g):
    up, down, mid = random(g, 32, 3, 1, 1), random(g, 2, 32, 1, 1), random(g, 3, 2, 3, 3)
    delta = np.einsum("or,rshw,si->oihw", up[:, :, 0, 0], mid, down[:, :, 0, 0])
    return {"lora_up.weight": up, "lora_down.weight": down, "lora_mid.weight": mid}, delta, 2


def loha(g):
    a, b, c, d = random(g, 32, 4), random(g, 4, 288), random(g, 32, 4), random(g, 4, 288)
    delta = (a.numpy() @ b.numpy()) * (c.numpy() @ d.numpy())
    return {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d}, delta, 4


def loha_with_cores(g):
    a, b, c, d = (random(g, 4, 32) for _ in range(4))
    s, t = random(g, 4, 4, 3, 3), random(g, 4, 4, 3, 3)
    first, second = (np.einsum("ijhw,io,jp->ophw", core, x, y) for core, x, y in ((s, a, b), (t, c, d)))
    parts = {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "hada_t1": s, "hada_t2": t}
    return parts, first * second, 4


def lokr(g):
    whole, a, b = random(g, 4, 8), random(g, 8, 2), random(g, 2, 36)
    return {"lokr_w1": whole, "lokr_w2_a": a, "lokr_w2_b": b}, np.kron(whole, a.numpy() @ b.numpy()), 2


def lokr_of_whole_factors(g):
    first, second = random(g, 4, 8), random(g, 8, 4, 3, 3)
    return {"lokr_w1": first, "lokr_w2": second}, np.kron(first[:, :, None, None], second), None


def full(g):
    delta = random(g, 32, 32, 3, 3)
    return {"diff": delta}, delta.numpy(), None


class TestRelativesOfLora:
    """They were compared with the forward of lycoris-lora 4.1.3: equal to 1e-7 on every kind and module of a UNet."""

    @pytest.mark.parametrize("make", [locon_with_mid, loha, loha_with_cores, lokr, lokr_of_whole_factors, full])
    def test_the_weight_changes_are_those_of_the_papers(self, components, tmp_path, make):
        before = weight_of(components, "unet", CONV).clone()
        parts, delta, rank = make(torch.Generator().manual_seed(4))
        state = {f"{kohya(CONV)}.{part}": value.contiguous() for part, value in parts.items()}
        state[f"{kohya(CONV)}.alpha"] = torch.tensor(1.0)
        save_file(state, tmp_path / "l.safetensors")
        add_network(tmp_path / "l.safetensors", 0.5, components)
        factor = 0.5 / rank if rank else 0.5  # whole factors and whole changes have no rank
        expected = before + factor * torch.from_numpy(delta).reshape(before.shape)
        torch.testing.assert_close(weight_of(components, "unet", CONV), expected, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("strength", [1.0, 0.5])
    @pytest.mark.parametrize("kept", [0, 1], ids=["one magnitude per output", "one per input"])
    def test_dora_keeps_the_magnitudes(self, components, tmp_path, strength, kept):
        before = weight_of(components, "unet", LINEAR).clone()
        up, down = lora(before.shape, torch.Generator().manual_seed(5))
        magnitudes = torch.rand(64) + 0.5
        state = {
            f"{kohya(LINEAR)}.lora_up.weight": up,
            f"{kohya(LINEAR)}.lora_down.weight": down,
            f"{kohya(LINEAR)}.dora_scale": magnitudes[:, None] if kept == 0 else magnitudes[None],
        }
        save_file(state, tmp_path / "l.safetensors")
        add_network(tmp_path / "l.safetensors", strength, components)
        after = weight_of(components, "unet", LINEAR)
        if strength == 1:
            torch.testing.assert_close(after.norm(dim=1 - kept), magnitudes)
        direction = before + up @ down
        whole = (
            direction
            / direction.norm(dim=1 - kept, keepdim=True)
            * (magnitudes[:, None] if kept == 0 else magnitudes[None])
        )
        torch.testing.assert_close(after, torch.lerp(before, whole, strength), atol=1e-5, rtol=1e-5)

    def test_norms_and_biases_change_too(self, components, tmp_path):
        norm = CONV.replace("conv1", "norm1")
        unet = components["unet"]
        before = [unet.get_parameter(f"{norm}.weight").clone(), unet.get_parameter(f"{CONV}.bias").clone()]
        state = {
            f"{kohya(norm)}.w_norm": torch.full((32,), 0.5),
            f"{kohya(norm)}.b_norm": torch.full((32,), 0.5),
            f"{kohya(CONV)}.diff": torch.zeros(32, 32, 3, 3),
            f"{kohya(CONV)}.diff_b": torch.full((32,), 0.25),
        }
        save_file(state, tmp_path / "l.safetensors")
        plan = add_network(tmp_path / "l.safetensors", 2.0, components)
        assert (plan.kinds, plan.left_out) == ("full", ())
        torch.testing.assert_close(unet.get_parameter(f"{norm}.weight"), before[0] + 1)
        torch.testing.assert_close(unet.get_parameter(f"{CONV}.bias"), before[1] + 0.5)

    def test_what_sdxl_has_no_use_for_is_left_out_and_said(self, components, tmp_path):
        up, down = lora((64, 64), torch.Generator().manual_seed(1))
        state = {
            f"{kohya(LINEAR)}.lora_up.weight": up,
            f"{kohya(LINEAR)}.lora_down.weight": down,
            "lora_unet_label_emb_9.lora_up.weight": up.clone(),
            "bundle_emb.my style.clip_l": torch.zeros(2, 32),
        }
        save_file(state, tmp_path / "l.safetensors")
        plan = add_network(tmp_path / "l.safetensors", 1.0, components)
        assert plan.left_out == ("lora_unet_label_emb_9.lora_up.weight",)
        (told,) = left_out("l.safetensors", plan)
        assert told.text.startswith("l.safetensors: 1 of its tensors are left out")
        assert plan.embeddings == {"my style": {"clip_l": "bundle_emb.my style.clip_l"}}


REFUSED = {
    "DoRA without matrices": ({f"{kohya(LINEAR)}.dora_scale": torch.ones(1)}, r"does not fit .* it has dora_scale"),
    "LoHa of another shape": ({f"{kohya(LINEAR)}.hada_w1_a": torch.ones(1, 1)}, "does not fit"),
    "OFT": ({f"{kohya(LINEAR)}.oft_diag": torch.ones(1)}, "of the kind OFT, which is not supported"),
    "Flux": ({"transformer.single_transformer_blocks.0.proj_out.lora_A.weight": torch.ones(1, 1)}, "for Flux"),
    "an alpha of several values": (
        {
            f"{kohya(LINEAR)}.lora_up.weight": torch.ones(64, 4),
            f"{kohya(LINEAR)}.lora_down.weight": torch.ones(4, 64),
            f"{kohya(LINEAR)}.alpha": torch.ones(4),
        },
        "does not fit",
    ),
    "another model": ({"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(1, 1)}, "Diffusion 1"),
    "unknown module": ({"lora_unet_nowhere.lora_up.weight": torch.ones(1, 1)}, "lora_unet_nowhere"),
    "half": ({f"{kohya(LINEAR)}.lora_up.weight": torch.ones(64, 4)}, r"it has up \(64, 4\), but .* shape \(64, 64\)"),
    "another shape": (
        {f"{kohya(LINEAR)}.lora_up.weight": torch.ones(5, 4), f"{kohya(LINEAR)}.lora_down.weight": torch.ones(4, 64)},
        "does not fit",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_loras_that_cannot_be_added_are_refused_with_a_message(components, tmp_path, case):
    state, complaint = REFUSED[case]
    save_file(state, tmp_path / "l.safetensors")
    with pytest.raises(BrokenModel, match=complaint) as caught:
        add_network(tmp_path / "l.safetensors", 1.0, components)
    assert "l.safetensors" in str(caught.value)
