#!/usr/bin/env bash
# torch 2.13.0 on a processor: with the same seed, the first picture's noise depends on whether a second is drawn with it.
#
# `torch.randn` makes its values in blocks of 16. If the whole tensor is no multiple of 16, its last 16 values are drawn once
# more, so that they replace values which belong to the previous block. The noise of two pictures of 4x9x9 latents
# therefore does not begin with the noise of one; with 4x8x8 it does. Below 16 values, another method gives wholly other ones,
# and float64 others than float32, whereas bfloat16 has those of float32, rounded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/python - <<'PY' 2>/dev/null | tee seen
import torch

def noise(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)

for side in (8, 9, 10, 11):
    one, two = noise(1, 4, side, side), noise(2, 4, side, side)
    print(f"4x{side}x{side}: {int((one[0] != two[0]).sum())} of {one.numel()} values differ if two are drawn")
print("15 values begin like 16:", torch.equal(noise(15)[:8], noise(16)[:8]))
print("float64 begins like float32:", torch.allclose(noise(64, dtype=torch.float64).float(), noise(64), atol=0.01))
print("bfloat16 begins like float32:", torch.allclose(noise(64, dtype=torch.bfloat16).float(), noise(64), atol=0.01))
PY
diff seen - <<'EXPECTED'
4x8x8: 0 of 256 values differ if two are drawn
4x9x9: 16 of 324 values differ if two are drawn
4x10x10: 0 of 400 values differ if two are drawn
4x11x11: 16 of 484 values differ if two are drawn
15 values begin like 16: False
float64 begins like float32: False
bfloat16 begins like float32: True
EXPECTED
