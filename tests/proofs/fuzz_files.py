"""Mutated files: whatever the bytes, a reader gives a sentence or a picture, and stays below a gibibyte.

    python tests/proofs/fuzz_files.py [COUNT]

prints what became of COUNT files as JSON. PNG and OpenRaster have checksums: a picture that is read from a file whose
bytes were only changed, and not sealed anew, has to be the original one. The other formats have none.
"""

import io
import json
import struct
import sys
import tempfile
import traceback
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import BlendMode as PSDBlend

from layerfusion.engine import formats
from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats.images import load_image
from layerfusion.engine.image.colour import srgb_profile
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import BlendMode, Layer, LayeredImage, Role
from layerfusion.engine.image.record import LayerRecord, PictureRecord

WORDS = [0, 1, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 8192, 30000]


def seeds(folder):
    """Small files of every kind: (path, bytes)."""
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (20, 24, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(pixels[..., 3] > 90, 255, pixels[..., 3])
    record = LayerRecord(prompt="a red apple", seed=3)
    layers = (
        Layer(name="Background", role=Role.BACKGROUND, pixels=np.full((20, 24, 4), 200, np.uint8), record=record),
        Layer(name="Foreground", role=Role.FOREGROUND, pixels=pixels, offset=(3, -2), record=record),
        Layer(name="Shadow", role=Role.SHADOW, pixels=pixels, blend=BlendMode.MULTIPLY, opacity=0.5),
        Layer(name="Blended", role=Role.BLENDED, pixels=pixels, visible=False),
    )
    made = PictureRecord(tool="LayerFusion 1", model="tiny", blended_prompt="an apple", seed=1)
    stack = LayeredImage(name="s", size=Size(24, 20), layers=layers, record=made)
    for name in ("a.psd", "a.ora"):
        formats.save(stack, folder / name)
    theirs = PSDImage.new("RGB", (24, 20))
    theirs.create_pixel_layer_from_array(pixels, name="ground")
    group = theirs.create_group(name="group")
    group.create_pixel_layer_from_array(pixels[:9, :9], name="thing", blend_mode=PSDBlend.LINEAR_DODGE)
    theirs.save(folder / "b.psd")
    Image.fromarray(pixels).save(folder / "a.png", dpi=(300, 300))
    Image.fromarray(pixels[..., :3]).quantize(16).save(folder / "b.png", transparency=3)
    deep = rng.integers(0, 2**16, (20, 24), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "c.png", gamma=0.7)
    Image.fromarray(pixels).save(folder / "a.tif")
    Image.fromarray(pixels).save(folder / "b.tif", compression="tiff_lzw", icc_profile=srgb_profile())
    Image.fromarray(pixels[..., :3]).save(folder / "a.jpg", icc_profile=srgb_profile())
    Image.fromarray(pixels).save(folder / "a.webp", lossless=True)
    PSDImage.frompil(Image.fromarray(pixels[..., :3])).save(folder / "c.psd")
    return [(path, path.read_bytes()) for path in sorted(folder.iterdir())]


def mutate(data, rng):
    """Change, cut, double or insert bytes, a few times."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, max(1, len(changed) if rng.random() < 0.5 else min(len(changed), 600))))
        match rng.integers(0, 6):
            case 0:
                changed[at : at + 1] = bytes([rng.integers(0, 256)])
            case 1:
                width = int(rng.choice([1, 2, 4]))
                changed[at : at + width] = (int(rng.choice(WORDS)) & (256**width - 1)).to_bytes(width, "big")
            case 2:
                del changed[at : at + int(rng.integers(1, 40))]
            case 3:
                changed[at:at] = changed[at : at + int(rng.integers(1, 40))]
            case 4:
                changed[at:at] = rng.bytes(int(rng.integers(1, 20)))
            case _:
                if rng.random() < 0.2:
                    del changed[at:]
    return bytes(changed)


def sealed_png(data, rng):
    """A PNG with one changed chunk and a checksum that fits."""
    position, chunks = 8, []
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += length + 12
    index = int(rng.integers(0, len(chunks)))
    kind, body = chunks[index]
    if rng.random() < 0.3:
        kind = bytes(rng.choice([b"gAMA", b"cHRM", b"cICP", b"iCCP", b"tRNS", b"eXIf", b"IHDR", b"pHYs"]))
        body = body or rng.bytes(8)
    chunks[index] = (kind, mutate(body, rng) if body else body)
    sealed = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return data[:8] + b"".join(sealed)


def sealed_ora(data, rng):
    """An OpenRaster document with one changed member."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(rng.choice([name for name in members if name == "stack.xml" or name.startswith("data/")]))
    members[name] = sealed_png(members[name], rng) if name.endswith(".png") else mutate(members[name], rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def picture(path):
    return flatten(formats.load(path)) if path.suffix in (".psd", ".ora") else load_image(path)


def run(count, seed=0):
    """Read `count` mutated files.

    Returns:
        How many were refused and read, the peak of memory in MiB, and descriptions of what must not happen.
    """
    rng = np.random.default_rng(seed)
    result = {"files": count, "refused": 0, "read": 0, "wrong": []}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "whole").mkdir()
        (Path(name) / "broken").mkdir()
        originals = [(path, data, picture(path)) for path, data in seeds(Path(name) / "whole")]
        for number in range(count):
            source, data, expected = originals[number % len(originals)]
            seal = {".png": sealed_png, ".ora": sealed_ora}.get(source.suffix) if rng.random() < 0.5 else None
            broken = (seal or mutate)(data, rng)
            path = Path(name) / "broken" / source.name
            path.write_bytes(broken)
            try:
                found = picture(path)
            except UnreadableFile as error:
                result["refused"] += 1
                if source.name not in str(error) or not error.hint:
                    result["wrong"].append(f"{number} {source.name}: {error}")
            except BaseException:  # anything else is what is looked for
                result["wrong"].append(f"{number} {source.name}: {traceback.format_exc(limit=-3)}")
            else:
                result["read"] += 1
                if seal is None and source.suffix in (".png", ".ora") and not np.array_equal(found, expected):
                    result["wrong"].append(f"{number} {source.name}: another picture")
    status = Path("/proc/self/status")  # ru_maxrss would be that of the process which started this one, if it is larger
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        result["peak_mib"] = round(int(peak.split()[1]) / 2**10)
    return result


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000), indent=2))
