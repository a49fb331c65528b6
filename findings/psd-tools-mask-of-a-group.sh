#!/usr/bin/env bash
# psd-tools 1.26.0, Pillow 13.0.0: a group that gets a mask makes a file that psd-tools itself cannot open.
#
# `Group.create_mask` takes a mask, and saving raises nothing. Opening the file raises a ValueError about a compression that
# does not exist, because the group's record announces a channel for which too little data is written. The same mask on a
# pixel layer is read back. A group of several layers must therefore be masked layer by layer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet psd-tools==1.26.0 pillow==13.0.0
env/bin/python - <<'PY' 2>/dev/null | tee seen
import io
from PIL import Image
from psd_tools import PSDImage

def read_back(masked):
    document = PSDImage.new("RGB", (16, 16))
    group = document.create_group(name="group")
    layer = group.create_pixel_layer(Image.new("RGB", (8, 8), "red"), name="thing")
    {"group": group, "layer": layer}[masked].create_mask(Image.new("L", (16, 16), 128))
    file = io.BytesIO()
    document.save(file)
    file.seek(0)
    try:
        found = PSDImage.open(file)
    except ValueError as error:
        return f"cannot be opened: {error}"
    return "is read back" if found[0][0].has_mask() else "has no mask"

for masked in ("group", "layer"):
    print(f"a mask on a {masked}:", read_back(masked))
PY
diff seen - <<'EXPECTED'
a mask on a group: cannot be opened: 61824 is not a valid Compression
a mask on a layer: is read back
EXPECTED
