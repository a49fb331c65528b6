#!/usr/bin/env bash
# lycoris-lora 4.1.3, torch 2.13.0: a LoHa merged into the weights acts with another strength than during training.
#
# A module's forward adds the change times alpha / rank. `get_diff_weight` multiplies what already has that factor by it
# again, and `merge_to` uses it: with alpha / rank of 1/2, half of the change arrives. LoCon merges as it
# ran, and with alpha equal to the rank nothing differs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/pip install --quiet lycoris-lora==4.1.3
env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule

RANK = 4
torch.manual_seed(0)
x = torch.randn(1, 32)

def norm_of_change(kind, alpha, merge):
    torch.manual_seed(1)
    linear = torch.nn.Linear(32, 32, bias=False)
    torch.nn.init.zeros_(linear.weight)
    module = kind("name", linear, multiplier=1.0, lora_dim=RANK, alpha=alpha)
    for parameter in module.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        if not merge:
            return module(x).norm()
        module.merge_to(1.0)
        return linear(x).norm()

for kind in (LoConModule, LohaModule):
    for alpha in (RANK, RANK / 2):
        ran, merged = (norm_of_change(kind, alpha, merge) / norm_of_change(kind, RANK, False) for merge in (False, True))
        print(f"{kind.__name__}, alpha / rank {alpha / RANK:.2f}: forward {ran:.2f}, merged {merged:.2f}")
PY
cat >expected <<'TEXT'
LoConModule, alpha / rank 1.00: forward 1.00, merged 1.00
LoConModule, alpha / rank 0.50: forward 0.50, merged 0.50
LohaModule, alpha / rank 1.00: forward 1.00, merged 1.00
LohaModule, alpha / rank 0.50: forward 0.50, merged 0.25
TEXT
diff expected seen || { echo "CHANGED"; exit 1; }
