#!/usr/bin/env bash
# peft 0.21.2: a DoRA whose strength is set to 0 still changes the layer.
#
# The strength scales the low-rank change, that is the direction. The magnitudes replace the lengths of the weight's rows
# whatever the strength is, so that on the way to 0 a part of the change remains, here two fifths. A LoRA ends at the layer as it
# was. `merge` does the same as the forward pass, and only switching the adapter off gives the layer back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/pip install --quiet peft==0.21.2
env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch
from peft import LoraConfig, inject_adapter_in_model

def changes(dora):
    """The size of the change with the strengths 1, 0.5 and 0, merged with 0, and with the adapter switched off."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))
    before = model[0].weight.detach().clone()
    inject_adapter_in_model(LoraConfig(r=4, lora_alpha=4, target_modules=["0"], use_dora=dora), model, "a")
    layer = model[0]
    torch.nn.init.normal_(layer.lora_B["a"].weight)
    if dora:
        layer.lora_magnitude_vector["a"].weight.data *= 1.5
    of = lambda: (model(torch.eye(8)).T - before).norm()
    for strength in (1.0, 0.5, 0.0):
        layer.set_scale("a", strength)
        yield of()
    layer.merge()
    yield (layer.base_layer.weight - before).norm()
    layer.unmerge()
    layer.enable_adapters(False)
    yield of()

with torch.no_grad():
    for dora in (False, True):
        print("DoRA:" if dora else "LoRA:", *(f"{float(change):.2f}" for change in changes(dora)))
PY
diff seen - <<'EXPECTED'
LoRA: 3.01 1.50 0.00 0.00 0.00
DoRA: 1.91 1.50 0.80 0.80 0.00
EXPECTED
