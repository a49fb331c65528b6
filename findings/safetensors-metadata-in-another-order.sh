#!/usr/bin/env bash
# safetensors 0.8.0: saving the same tensors with the same metadata writes other bytes each time.
#
# Tensors are sorted, so a file without metadata, or with a single entry, is the same each time. From the second entry on, the
# metadata are written in the order of a hash table that is seeded anew for every call, also within one process. A digest of
# a file with metadata therefore says nothing about what is in it, and a build that saves such files is not reproducible.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet safetensors==0.8.0 numpy==2.4.6
env/bin/python - <<'PY' | tee seen
import hashlib
import json
import numpy as np
from safetensors.numpy import save

tensors = {name: np.zeros(2, np.float32) for name in "abcdefgh"}
for entries in (0, 1, 8):
    metadata = {f"key {number}": "value" for number in range(entries)}
    saved = [save(tensors, metadata=metadata) for _ in range(20)]
    digests = {hashlib.sha256(data).hexdigest() for data in saved}
    headers = [json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]) for data in saved]
    equal = all(header == headers[0] for header in headers)
    print(f"{entries} entries: {'one digest' if len(digests) == 1 else 'several digests'}, contents equal: {equal}")
PY
diff seen - <<'EXPECTED'
0 entries: one digest, contents equal: True
1 entries: one digest, contents equal: True
8 entries: several digests, contents equal: True
EXPECTED
