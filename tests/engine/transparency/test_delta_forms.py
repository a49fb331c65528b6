"""The published forms of the foreground deltas, at SDXL's full shape without weights and on a small UNet with them."""

import json
import math

import pytest
import torch
from diffusers import UNet2DConditionModel

from layerfusion.engine.errors import BrokenModel
from layerfusion.engine.models.catalog.model_files import CONFIGS
from layerfusion.engine.transparency.delta_keys import parts_by_target
from layerfusion.engine.transparency.deltas import Dense, LowRank, deltas_from_state
from layerfusion.engine.transparency.key_names import ldm_name

RANK = 256
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")


@pytest.fixture(scope="module")
def full_unet():
    with torch.device("meta"):
        return UNet2DConditionModel.from_config(json.loads((CONFIGS / "unet" / "config.json").read_text()))


def targets(unet):
    """Every attention projection's name -> the shape of its weight."""
    return {
        name.removesuffix(".weight"): tuple(value.shape)
        for name, value in unet.state_dict().items()
        if ".attn" in name and name.removesuffix(".weight").endswith(PROJECTIONS)
    }


def forge_key(target, half):
    return f"diffusion_model.{ldm_name(target)}.weight::lora::{0 if half == 'up' else 1}"


def kohya_key(target, half):
    return f"lora_unet_{ldm_name(target)}".replace(".", "_") + f".lora_{half}.weight"


def peft_key(target, half):
    return f"{target}.lora_{'B' if half == 'up' else 'A'}.weight"


FORMS = {"Forge": forge_key, "kohya": kohya_key, "PEFT": peft_key}


def shapes_of(unet, key, rank=RANK):
    return {
        key(target, half): (rows, rank) if half == "up" else (rank, columns)
        for target, (rows, columns) in targets(unet).items()
        for half in ("up", "down")
    }


def file_size(shapes, metadata=None, bytes_a_number=2):
    """The size in bytes of a safetensors file with these tensors."""
    entries, place = {}, 0
    if metadata:
        entries["__metadata__"] = metadata
    for name in sorted(shapes):
        size = math.prod(shapes[name]) * bytes_a_number
        entries[name] = {"dtype": "F16", "shape": list(shapes[name]), "data_offsets": [place, place + size]}
        place += size
    head = len(json.dumps(entries, separators=(",", ":")).encode())
    return 8 + -(-head // 8) * 8 + place


def conv_shapes(unet, channels=4):
    """The keys of the `conv` variant: everything but attention's q, k, v weights and the time embeddings."""
    skipped = tuple(f".{name}.weight" for name in ("to_q", "to_k", "to_v"))
    found = {
        name: tuple(value.shape)
        for name, value in unet.state_dict().items()
        if not name.endswith(skipped) and not name.startswith(("time_embedding", "add_embedding"))
    }
    return {**found, "conv_in.weight": (320, channels, 3, 3)}


def conditional_shapes(unet, channels):
    found = {name: shape for name, shape in conv_shapes(unet, channels).items() if "attentions" not in name}
    return {**found, "conv_in.weight": (320, channels, 3, 3)}


class TestFullShape:
    def test_the_key_sets_have_their_published_counts(self, full_unet):
        assert len(targets(full_unet)) == 560
        assert len(conv_shapes(full_unet)) == 1252
        assert len(conditional_shapes(full_unet, 8)) == 206

    def test_the_files_have_their_published_bytes(self, full_unet):
        """The exact size where it is published to the byte; the size of the tensors for the other files."""
        assert file_size(shapes_of(full_unet, kohya_key)) == 743_345_968
        assert file_size(conv_shapes(full_unet)) == 3_619_723_136
        assert file_size(conditional_shapes(full_unet, 12)) == 701_999_680
        assert file_size(conv_shapes(full_unet, 12)) == 3_619_769_216
        payload = sum(math.prod(shape) * 2 for shape in shapes_of(full_unet, forge_key).values())
        assert payload == 743_178_240
        assert sum(math.prod(shape) * 2 for shape in targets(full_unet).values()) == 1_910_374_400

    @pytest.mark.parametrize("form", FORMS)
    def test_all_1120_keys_map_to_their_projection_and_back(self, full_unet, form):
        key = FORMS[form]
        keys = list(shapes_of(full_unet, key))
        assert len(set(keys)) == 1120
        found = parts_by_target(keys, targets(full_unet), "f")
        assert len(found) == 560
        assert all(found[target][half] == key(target, half) for target in found for half in ("up", "down"))

    def test_forge_to_internal_to_kohya_to_forge_is_a_bijection(self, full_unet):
        forge = list(shapes_of(full_unet, forge_key))
        internal = parts_by_target(forge, targets(full_unet), "f")
        kohya = {kohya_key(target, half): key for target, halves in internal.items() for half, key in halves.items()}
        back = parts_by_target(kohya, targets(full_unet), "k")
        assert {forge_key(target, half) for target in back for half in back[target]} == set(forge)
        assert all(kohya[key] == forge_key(target, half) for target in back for half, key in back[target].items())


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(
        {
            **json.loads((CONFIGS / "unet" / "config.json").read_text()),
            "block_out_channels": [8, 16, 16],
            "attention_head_dim": [1, 2, 2],
            "transformer_layers_per_block": [1, 1, 2],
            "cross_attention_dim": 12,
            "norm_num_groups": 4,
            "addition_time_embed_dim": 4,
            "projection_class_embeddings_input_dim": 32,
        }
    ).requires_grad_(False)
    pairs = {
        target: (torch.randn(rows, 4), torch.randn(4, columns)) for target, (rows, columns) in targets(unet).items()
    }
    return unet, pairs


def written(pairs, form):
    """The same deltas in one of the published forms."""
    if form == "dense":
        return {f"{target}.weight": up @ down for target, (up, down) in pairs.items()}
    key = FORMS[form.split()[0]]
    prefix = "model." if form.endswith("tolerated prefix") else ""
    state = {}
    for target, (up, down) in pairs.items():
        scale = 2.0 if form.endswith("alpha") else 1.0
        state |= {prefix + key(target, "up"): up * scale, prefix + key(target, "down"): down}
        if form.endswith("alpha"):
            state[kohya_key(target, "up").replace("lora_up.weight", "alpha")] = torch.tensor(2.0)
    return state


def test_every_form_changes_the_same_projection_by_the_same(subtests, small):
    for form in ["Forge", "Forge, tolerated prefix", "kohya", "kohya with alpha", "PEFT", "dense"]:
        with subtests.test(form=form):
            unet, pairs = small
            form = form.replace("Forge,", "Forge")
            deltas = deltas_from_state(written(pairs, form), unet, "f")
            assert sum(map(len, deltas.values())) == len(pairs)
            for target, (up, down) in pairs.items():
                module, _, projection = target.partition(".to_")
                delta = deltas[module][f"to_{projection}"]
                assert isinstance(delta, Dense if form == "dense" else LowRank)
                x = torch.randn(3, down.shape[1])
                torch.testing.assert_close(delta(x), x @ (up @ down).T, atol=1e-4, rtol=1e-4, msg=target)


class TestRefusals:
    def test_the_conv_variant_names_the_file_to_use(self, small):
        unet, _ = small
        state = {"conv_in.weight": torch.zeros(8, 4, 3, 3), "mid_block.resnets.0.conv1.weight": torch.zeros(1)}
        with pytest.raises(BrokenModel, match=r"conv_in\.weight.*layer_xl_transparent_attn\.safetensors"):
            deltas_from_state(state, unet, "conv.safetensors")

    def test_a_dense_forge_file_is_refused(self, small):
        unet, _ = small
        with pytest.raises(BrokenModel, match="diff::0"):
            deltas_from_state({"diffusion_model.input_blocks.0.0.weight::diff::0": torch.zeros(1)}, unet, "f")

    def test_a_missing_half_is_named(self, subtests, small):
        for form in ["Forge", "kohya", "PEFT"]:
            with subtests.test(form=form):
                unet, pairs = small
                state = written(pairs, form)
                del state[FORMS[form](next(iter(pairs)), "down")]
                with pytest.raises(BrokenModel, match="incomplete or damaged delta"):
                    deltas_from_state(state, unet, "f")

    def test_a_wrong_shape_names_the_expected_and_the_found_shape(self, small):
        unet, pairs = small
        target = next(iter(pairs))
        state = written(pairs, "dense") | {f"{target}.weight": torch.zeros(3, 5)}
        with pytest.raises(BrokenModel, match=r"shape \(3, 5\), but the model needs"):
            deltas_from_state(state, unet, "f")

    def test_an_empty_file_is_refused(self, small):
        with pytest.raises(BrokenModel, match="contains no deltas"):
            deltas_from_state({}, small[0], "f")
