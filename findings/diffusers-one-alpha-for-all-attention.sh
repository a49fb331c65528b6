#!/usr/bin/env bash
# diffusers 0.42.1, peft 0.21.2: in a kohya LoRA for SD or SDXL, all attention layers act with one layer's alpha.
#
# Each layer of such a file has an `alpha` of its own, and alpha / rank is its strength. diffusers keeps the alphas of
# to_q, to_k, to_v and to_out under names of an earlier release, which peft does not find. So they all act with the alpha
# that becomes the default, or, having none themselves, with a neighbour's instead of their whole strength. Layers
# outside attention get their own. If all alphas are equal, as trainers write them, nothing shows: it
# shows with files that were merged or trained block by block. The only sign is a RuntimeWarning of peft.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/pip install --quiet diffusers==0.42.1 peft==0.21.2 transformers==5.24.0
env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader

BLOCK, RANK, SIDE = "mid_block.attentions.0.transformer_blocks.0.", 4, 16
LAYERS = {"q": BLOCK + "attn1.to_q", "k": BLOCK + "attn1.to_k", "out": "mid_block.attentions.0.proj_out"}
torch.manual_seed(0)
down, up = torch.randn(RANK, SIDE), torch.randn(SIDE, RANK)

def strengths(**alphas):
    """Of the changes that arrive in three layers with linear weights, if their file says these alphas."""
    unet = UNet2DConditionModel(
        block_out_channels=(SIDE,), layers_per_block=1, norm_num_groups=4, attention_head_dim=8, cross_attention_dim=8,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), use_linear_projection=True,
    )
    file = {}
    for layer, name in LAYERS.items():
        key = "lora_unet_" + name.replace(".", "_")
        file |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
        if layer in alphas:
            file[f"{key}.alpha"] = torch.tensor(float(alphas[layer]))
    before = {name: (unet.get_submodule(name).weight.clone(), unet.get_submodule(name).bias) for name in LAYERS.values()}
    state, read = Loader.lora_state_dict(file)[:2]
    Loader.load_lora_into_unet(state, network_alphas=read, unet=unet)
    for name, (weight, bias) in before.items():
        changed = unet.get_submodule(name)(torch.eye(SIDE)) - (0 if bias is None else bias)
        yield float((changed.T - weight).norm() / (up @ down).norm())

for alphas in ({}, {"q": 2, "k": 2, "out": 2}, {"q": 2, "k": 1, "out": 1}, {"q": 1, "k": 2, "out": 4}, {"k": 1, "out": 2}):
    said = [alphas.get(layer, RANK) / RANK for layer in LAYERS]
    with torch.no_grad():
        print("q, k, out: said", *said, "- act with", *(round(strength, 2) for strength in strengths(**alphas)))
PY
diff seen - <<'EXPECTED'
q, k, out: said 1.0 1.0 1.0 - act with 1.0 1.0 1.0
q, k, out: said 0.5 0.5 0.5 - act with 0.5 0.5 0.5
q, k, out: said 0.5 0.25 0.25 - act with 0.25 0.25 0.25
q, k, out: said 0.25 0.5 1.0 - act with 0.25 0.25 1.0
q, k, out: said 1.0 0.25 0.5 - act with 0.25 0.25 0.5
EXPECTED
