#!/usr/bin/env bash
# torch 2.13.0 on a processor, ml_dtypes 0.5.4: casting infinity to float8_e4m3fn gives 448, and elsewhere nan.
#
# The format has no infinity. This release of torch takes its largest number for everything beyond, also for what was
# infinite before: weights that overflowed while they were trained or converted look like good ones after the cast, and a check
# for finite values finds nothing. ml_dtypes, by which numpy and JAX have the same format, gives nan for both, so that one
# checkpoint converted by two programs has other values. In float8_e5m2, which has an infinity, they agree: 1e6 becomes
# infinite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet torch==2.13.0
env/bin/pip install --quiet ml_dtypes==0.5.4 numpy==2.4.6
env/bin/python - <<'PY' 2>/dev/null | tee seen
import ml_dtypes
import numpy as np
import torch

values = [440.0, 1e6, float("inf"), float("-inf"), float("nan")]
print("cast from", *values)
for name in ("float8_e4m3fn", "float8_e5m2"):
    print(name, "torch", *torch.tensor(values).to(getattr(torch, name)).float().tolist())
    with np.errstate(all="ignore"):
        print(name, "ml_dtypes", *np.array(values, np.float32).astype(getattr(ml_dtypes, name)).astype(np.float32).tolist())
PY
diff seen - <<'EXPECTED'
cast from 440.0 1000000.0 inf -inf nan
float8_e4m3fn torch 448.0 448.0 448.0 -448.0 nan
float8_e4m3fn ml_dtypes 448.0 nan nan nan nan
float8_e5m2 torch 448.0 inf inf -inf nan
float8_e5m2 ml_dtypes 448.0 inf inf -inf nan
EXPECTED
