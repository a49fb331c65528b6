"""Colour profiles that no library makes."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from layerfusion.engine.image.colour import srgb_profile


def cmyk_profile():
    """The profile of a press, as a colour lookup table: two points an ink, 8 bits, to PCS Lab (ICC.1:2022, §10.10)."""
    inks = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    rgb = ((1 - inks[:, :3]) * (1 - inks[:, 3:]) * 255).astype(np.uint8)
    source = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    lab = np.asarray(
        ImageCms.profileToProfile(Image.fromarray(rgb[None]), source, ImageCms.createProfile("LAB"), outputMode="LAB")
    )[0]
    lab = lab.astype(np.int16) + np.array([0, 128, 128])  # Pillow keeps a and b as signed bytes
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *np.eye(3, dtype=int).ravel() * 65536)
    ramp = bytes(range(256))
    lut += ramp * 4 + (lab % 256).astype(np.uint8).tobytes() + ramp * 3
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"Inks\0" + bytes(78), b"A2B0": lut}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags[b"cprt"] = b"text" + bytes(4) + b"none\0"
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp"
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + table + body
