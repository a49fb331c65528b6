#!/usr/bin/env bash
# Pillow 13.0.0: a TIFF of 16 bits a channel is read as noise if its channels lie in planes of their own, uncompressed.
#
# Pillow reads RGB of 16 bits as 8, by leaving out each lower byte. With PlanarConfiguration 2 and no compression it takes
# each plane for one of 8 bits instead: two bytes become two pixels, and half of the plane is not looked at. Nothing is
# raised or warned of. Compressed planes are read well, by another decoder. Grey TIFFs of 12 bits, too, come without a
# word, as values up to 4095 in a picture whose mode goes up to 65535.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pillow==13.0.0 numpy==2.3.5 tifffile==2025.10.16 imagecodecs==2025.8.2
env/bin/python - <<'PY' | tee seen
import numpy as np
import tifffile
from PIL import Image

columns = np.linspace(0, 65535, 16, dtype=np.uint16)
picture = np.stack([np.tile(columns, (8, 1)), np.tile(columns[::-1], (8, 1)), np.full((8, 16), 30000, np.uint16)])
for compression in (None, "deflate"):
    tifffile.imwrite("planes.tif", picture, photometric="rgb", planarconfig="separate", compression=compression)
    with Image.open("planes.tif") as image:
        apart = np.abs(np.asarray(image).astype(int) - (picture.transpose(1, 2, 0) >> 8))
    print("compression", compression, "- wrong" if apart.max() > 1 else "- right")

packed = bytes([0xFF, 0xF0, 0x00] * 2)  # 4095, 0, 4095, 0
tags = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 6)]
entries = b"".join(number.to_bytes(2, "little") + b"\3\0\1\0\0\0" + value.to_bytes(4, "little") for number, value in tags)
data = b"II*\0" + (14).to_bytes(4, "little") + packed + len(tags).to_bytes(2, "little") + entries + bytes(4)
open("grey.tif", "wb").write(data)
with Image.open("grey.tif") as image:
    print("white of 12 bits:", image.mode, int(np.asarray(image).max()))
PY
diff seen - <<'EXPECTED'
compression None - wrong
compression deflate - right
white of 12 bits: I;16 4095
EXPECTED
