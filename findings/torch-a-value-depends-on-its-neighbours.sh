#!/usr/bin/env bash
# torch 2.13.0 on a processor (x86-64): functions of single values give another result alone than among others.
#
# Values are computed 8 or 16 at a time (here 8, with AVX2), and what is left over at the end of a tensor, or of a thread's
# share of it, one by one with other formulas. So a slice can have other last bits than the same place of the whole: in silu,
# sigmoid, gelu and mish, of which UNets and VAEs are full, and in powers; not in exp and tanh. In bfloat16, rsqrt differs for
# three values in ten. A picture can therefore depend on how it was cut into tiles, rows or threads, although no sum was
# computed in another order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
ATEN_CPU_CAPABILITY=avx2 env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch
from torch.nn import functional

FUNCTIONS = {
    "exp": torch.exp, "tanh": torch.tanh, "sqrt": torch.sqrt, "silu": functional.silu, "sigmoid": torch.sigmoid,
    "gelu": functional.gelu, "mish": functional.mish, "power": lambda x: x**1.7, "rsqrt": torch.rsqrt,
}
torch.manual_seed(0)
values = torch.rand(4096) * 4 + 0.01
for kind in (torch.float32, torch.bfloat16):
    x = values.to(kind)
    differing = {
        name: (function(x) != torch.cat([function(x[i : i + 1]) for i in range(len(x))])).float().mean()
        for name, function in FUNCTIONS.items()
    }
    print(kind, "the same alone:", *(name for name, share in differing.items() if share == 0))
    print(kind, "another alone:", *(name for name, share in differing.items() if share > 0))
print(f"bfloat16 rsqrt: {float(differing['rsqrt']):.1f} of the values")
PY
diff seen - <<'EXPECTED'
torch.float32 the same alone: exp tanh sqrt rsqrt
torch.float32 another alone: silu sigmoid gelu mish power
torch.bfloat16 the same alone: exp tanh sqrt silu sigmoid gelu mish power
torch.bfloat16 another alone: rsqrt
bfloat16 rsqrt: 0.3 of the values
EXPECTED
