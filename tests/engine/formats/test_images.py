import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import load_image
from layerfusion.engine.formats.images import decode, encode
from layerfusion.engine.image.pillow import srgb_profile

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 4), dtype=np.uint8)
PIXELS[::2, :, 3] = 0


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, depth, colour, data):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("options", [{"format": "PNG"}, {"format": "WEBP", "lossless": True, "exact": True}])
def test_pixels_are_read_byte_for_byte_with_the_colour_under_alpha_0(tmp_path, options):
    Image.fromarray(PIXELS).save(tmp_path / "a", **options)
    assert np.array_equal(load_image(tmp_path / "a"), PIXELS)


def test_png_encoding_and_decoding_is_exact():
    assert np.array_equal(decode(encode(PIXELS), "it"), PIXELS)
    assert b"sRGB" in encode(PIXELS)[:60]


def test_every_8_bit_mode_becomes_rgba(subtests, tmp_path):
    for mode in ["1", "L", "LA", "P", "RGB"]:
        with subtests.test(mode=mode):
            image = Image.fromarray(PIXELS).convert("RGB").convert(mode)
            image.save(tmp_path / "a.png")
            assert np.array_equal(load_image(tmp_path / "a.png"), np.asarray(image.convert("RGBA")))


def test_a_transparent_palette_colour_stays_transparent(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=0)
    pixels = load_image(tmp_path / "a.png")
    assert tuple(pixels[0, 0]) == (255, 0, 0, 0)
    assert tuple(pixels[1, 1]) == (0, 0, 255, 255)


def test_an_srgb_profile_changes_no_byte(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=srgb_profile())
    assert np.array_equal(load_image(tmp_path / "a.png"), PIXELS)


def wide_gamut_profile():
    """A profile like sRGB with the red and green columns exchanged: images must be read with the two exchanged."""
    profile = bytearray(srgb_profile().replace(b"s\0R\0G\0B", b"o\0t\0h\0r"))
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {bytes(profile[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(count)}
    for first, second in ((b"rXYZ", b"gXYZ"),):
        profile[tags[first] : tags[first] + 4], profile[tags[second] : tags[second] + 4] = second, first
    return bytes(profile)


def test_colours_of_another_profile_are_converted(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=wide_gamut_profile())
    converted = load_image(tmp_path / "a.png")
    assert np.array_equal(converted[..., 3], PIXELS[..., 3])
    visible = PIXELS[..., 3] > 0
    assert np.abs(converted[visible][:, [1, 0, 2]].astype(int) - PIXELS[visible][:, :3]).max() <= 2


def test_a_profile_that_cannot_be_used_is_named(tmp_path):
    gray = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"nonsense", gray):
        Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=profile)
        with pytest.raises(UnreadableFile, match="colour profile"):
            load_image(tmp_path / "a.png")


def test_16_bits_per_channel_are_refused(subtests, tmp_path):
    for colour in [0, 2, 4, 6]:
        with subtests.test(colour=colour):
            channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
            (tmp_path / "a.png").write_bytes(raw_png(1, 1, 16, colour, bytes(1 + 2 * channels)))
            with pytest.raises(UnreadableFile, match="16 bits"):
                load_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_animations_are_refused(tmp_path, suffix):
    frames = [Image.new("RGBA", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableFile, match="animated"):
        load_image(tmp_path / f"a.{suffix}")


@pytest.mark.filterwarnings("error")
def test_images_beyond_the_limits_are_refused_before_decompression(subtests, tmp_path):
    for size in [(8193, 1), (1, 8193), (12_000, 12_000), (60_000, 60_000)]:
        with subtests.test(size=size):
            (tmp_path / "a.png").write_bytes(raw_png(size[0], size[1], 8, 6, b""))
            with pytest.raises(UnreadableFile):
                load_image(tmp_path / "a.png")


def test_files_that_are_no_image_are_refused(tmp_path):
    path = tmp_path / "a.png"
    with pytest.raises(UnreadableFile, match="No such file"):
        load_image(path)
    whole = encode(PIXELS)
    for content in (b"", b"hello", whole[:8], whole[:-40], whole[: len(whole) // 2], b"%PDF-1.4"):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="damaged"):
            load_image(path)
    with pytest.raises(UnreadableFile, match=tmp_path.name):
        load_image(tmp_path)
