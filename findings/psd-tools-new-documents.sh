#!/usr/bin/env bash
# psd-tools 1.26.0, Pillow 13.0.0: two surprises with documents that psd-tools itself has made.
#
# 1. A layer has its name twice: as a Pascal string in MacRoman, and in a block of its own as Unicode. Setting
#    `layer.name` writes both, with "?" in the first where MacRoman has no such letter. The argument `name` of
#    `create_pixel_layer` writes the first only: a name outside MacRoman is taken, and saving the document fails later.
# 2. Saving a new document stores a merged picture, and `composite()` of a document that is read shows that one. It has
#    no alpha, even if the document is RGBA: a half transparent red comes back opaque; and it is black where a layer
#    multiplies and nothing lies below, where the layers themselves give red. `composite(force=True)` is right.
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
from psd_tools.constants import BlendMode

def read_back(name, name_set_later=None, alpha=255, blend=BlendMode.NORMAL):
    document = PSDImage.new("RGBA", (4, 4))
    layer = document.create_pixel_layer(Image.new("RGBA", (4, 4), (200, 10, 10, alpha)), name=name)
    if blend is not BlendMode.NORMAL:
        layer.blend_mode = blend
    if name_set_later is not None:
        layer.name = name_set_later
    file = io.BytesIO()
    document.save(file)
    file.seek(0)
    return PSDImage.open(file)

apple = "\u6797\u6a8e"
print("a name set later comes back:", read_back("x", apple)[0].name == apple)
try:
    print("a name given at once comes back:", read_back(apple)[0].name == apple)
except UnicodeEncodeError as error:
    print("a name given at once:", error.encoding, "cannot encode it")
for words, document in [
    ("half transparent", read_back("x", alpha=128)),
    ("multiplied", read_back("x", blend=BlendMode.MULTIPLY)),
]:
    print(words, "stored", document.composite().getpixel((0, 0)), "layers", document.composite(force=True).getpixel((0, 0)))
PY
cat >expected <<'TEXT'
a name set later comes back: True
a name given at once: charmap cannot encode it
half transparent stored (200, 10, 10) layers (200, 10, 10, 128)
multiplied stored (0, 0, 0) layers (200, 10, 10, 255)
TEXT
diff expected seen || { echo "CHANGED"; exit 1; }
