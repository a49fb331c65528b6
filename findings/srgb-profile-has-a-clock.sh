#!/usr/bin/env bash
# Pillow 13.0.0 (its wheels carry LittleCMS): ImageCms.createProfile("sRGB") is not a constant.
#
# Bytes 24 to 35 of an ICC profile are its time of creation, and LittleCMS writes the current second there. Two files
# that embed "the" sRGB profile differ for that alone, and a cache or a test that compares bytes fails now and then: only
# if the clock ticks between the two.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet pillow==13.0.0
env/bin/python - <<'PY' | tee seen
import struct, time
from PIL import ImageCms

def profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

first = profile()
time.sleep(1.1)
later = profile()
differing = [place for place in range(len(first)) if first[place] != later[place]]
print("a second later the same bytes:", first == later)
print("they differ only in the date:", set(differing) <= set(range(24, 36)))
print("which is that of today:", struct.unpack(">H", later[24:26])[0] == time.gmtime().tm_year)
PY
cat >expected <<'TEXT'
a second later the same bytes: False
they differ only in the date: True
which is that of today: True
TEXT
diff expected seen || { echo "CHANGED"; exit 1; }
