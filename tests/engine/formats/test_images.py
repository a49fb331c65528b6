import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from layerfusion.engine.errors import UnreadableFile
from layerfusion.engine.formats import load_image
from layerfusion.engine.formats.images import decode, encode
from layerfusion.engine.image.colour import srgb_profile
from profiles import cmyk_profile

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


def linear_profile(name):
    """The profile of sRGB with straight curves, under any name of four letters."""
    profile = bytearray(srgb_profile().replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be")))
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(count):
        tag, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + size] = b"curv".ljust(12, b"\0").ljust(size, b"\0")
    return bytes(profile)


@pytest.mark.parametrize("name", ["sRGB", "abcd"])
def test_profiles_are_judged_by_their_curves_and_not_by_their_names(tmp_path, name):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=linear_profile(name))
    read = load_image(tmp_path / "a.png")
    assert np.abs(read[..., :3] - srgb_from_linear(PIXELS[..., :3] / 255)).max() <= 1
    Image.fromarray(PIXELS).save(tmp_path / "b.png", icc_profile=srgb_profile().replace(b"s\0R\0G\0B", b"a\0b\0c\0d"))
    assert np.array_equal(load_image(tmp_path / "b.png"), PIXELS)


def test_16_bits_and_a_profile_agree_with_the_colour_engine(tmp_path):
    values = PIXELS[..., :3].astype(int) * 257
    picture = chunked_png(17, 12, 16, 2, rows(values, ">u2"), (b"iCCP", b"x\0\0" + zlib.compress(wide_gamut_profile())))
    (tmp_path / "deep.png").write_bytes(picture)
    Image.fromarray(PIXELS).convert("RGB").save(tmp_path / "flat.png", icc_profile=wide_gamut_profile())
    deep, flat = load_image(tmp_path / "deep.png"), load_image(tmp_path / "flat.png")
    assert np.abs(deep.astype(int) - flat).max() <= 1


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


def chunked_png(width, height, depth, colour, data, *chunks):
    """A PNG of raw rows with further chunks before its pixels."""
    plain = raw_png(width, height, depth, colour, data)
    return plain[:33] + b"".join(chunk(kind, value) for kind, value in chunks) + plain[33:]


def rows(values, kind):
    """The rows of a PNG without filters."""
    return b"".join(b"\0" + np.ascontiguousarray(row).astype(kind).tobytes() for row in values)


def test_16_bits_a_channel_are_rounded_to_8(subtests, tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (9, 7, 4))
    rounded = np.rint(deep / 257).astype(np.uint8)
    opaque = np.full((9, 7, 1), 255)
    for colour, channels, expected in [
        (0, [0], np.concatenate([rounded[..., [0, 0, 0]], opaque], axis=2)),
        (2, [0, 1, 2], np.concatenate([rounded[..., :3], opaque], axis=2)),
        (4, [0, 3], rounded[..., [0, 0, 0, 3]]),
        (6, [0, 1, 2, 3], rounded),
    ]:
        with subtests.test(colour=colour):
            (tmp_path / "a.png").write_bytes(raw_png(7, 9, 16, colour, rows(deep[..., channels], ">u2")))
            assert np.array_equal(load_image(tmp_path / "a.png"), expected)


def test_16_bit_pictures_keep_their_dark_tones_when_they_are_converted(tmp_path):
    """Linear light in 8 bits has hardly any dark tones; reduced to 8 bits first, this would be off by 6."""
    ramp = np.arange(0, 4096, 16)[None]
    linear = np.stack([ramp] * 3, axis=-1)
    (tmp_path / "a.png").write_bytes(
        chunked_png(256, 1, 16, 2, rows(linear, ">u2"), (b"gAMA", struct.pack(">I", 100_000)))
    )
    light = ramp / 65535
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert np.abs(load_image(tmp_path / "a.png")[0, :, 0] - expected).max() <= 0.51


def srgb_from_linear(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055) * 255


P3_TO_SRGB = np.array([[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09827]])
"""Linear Display P3 to linear sRGB, from the CSS Color 4 specification's sample code."""


def test_the_meaning_that_a_png_states_for_its_colours_is_honoured(subtests, tmp_path):
    given = np.array([[[200, 60, 30], [10, 90, 160], [128, 128, 128], [90, 200, 90]]])
    unit = given / 255
    curve = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    half = struct.pack(">I", 50_000)
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    cases = {
        "linear": ([(b"gAMA", struct.pack(">I", 100_000))], srgb_from_linear(unit)),
        "gamma 2": ([(b"gAMA", half)], srgb_from_linear(unit**2)),
        "gamma of sRGB": ([(b"gAMA", struct.pack(">I", 45455))], given),
        "sRGB outweighs gAMA": ([(b"sRGB", b"\0"), (b"gAMA", half)], given),
        "P3 by cICP": ([(b"cICP", bytes([12, 13, 0, 1]))], srgb_from_linear(curve @ P3_TO_SRGB.T)),
        "P3 by cHRM": ([(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", p3)], srgb_from_linear(curve @ P3_TO_SRGB.T)),
        "cICP outweighs gAMA": ([(b"cICP", bytes([1, 13, 0, 1])), (b"gAMA", half)], given),
        "linear by cICP": ([(b"cICP", bytes([1, 8, 0, 1]))], srgb_from_linear(unit)),
    }
    for name, (chunks, expected) in cases.items():
        with subtests.test(name):
            (tmp_path / "a.png").write_bytes(chunked_png(4, 1, 8, 2, rows(given, "u1"), *chunks))
            assert np.abs(load_image(tmp_path / "a.png")[..., :3] - expected).max() <= 1


def test_encodings_that_are_not_supported_are_named(subtests, tmp_path):
    for code, words in [
        ((9, 16, 0, 1), "PQ"),
        ((9, 18, 0, 1), "HLG"),
        ((1, 13, 0, 0), "video"),
        ((77, 13, 0, 1), "77"),
        ((1, 13, 0), "damaged"),
    ]:
        with subtests.test(code=code):
            (tmp_path / "a.png").write_bytes(chunked_png(1, 1, 8, 2, bytes(4), (b"cICP", bytes(code))))
            with pytest.raises(UnreadableFile, match=words):
                load_image(tmp_path / "a.png")
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    (tmp_path / "a.png").write_bytes(chunked_png(1, 1, 8, 2, bytes(4), (b"cHRM", p3)))
    with pytest.raises(UnreadableFile, match="primaries without a gamma"):
        load_image(tmp_path / "a.png")


def test_the_transparent_colour_of_pictures_of_any_depth(subtests, tmp_path):
    """Of four grey values, side by side, the second is stated to be transparent."""
    cases = {
        "grey of 1 bit": (2, 1, 0, bytes([0, 0b01000000]), struct.pack(">H", 1)),
        "grey of 2 bits": (4, 2, 0, bytes([0, 0b00011011]), struct.pack(">H", 1)),
        "grey of 4 bits": (4, 4, 0, bytes([0, 0x37, 0x9C]), struct.pack(">H", 7)),
        "grey of 8 bits": (4, 8, 0, bytes([0, 3, 7, 9, 12]), struct.pack(">H", 7)),
        "grey of 16 bits": (4, 16, 0, struct.pack(">B4H", 0, 9, 770, 771, 769), struct.pack(">H", 770)),
        "RGB": (3, 8, 2, bytes([0, 1, 2, 3, 4, 5, 6, 4, 5, 7]), struct.pack(">3H", 4, 5, 6)),
        "RGB of 16 bits": (
            3,
            16,
            2,
            b"\0" + struct.pack(">9H", 1, 2, 3, 1024, 5, 6, 1025, 5, 6),
            struct.pack(">3H", 1024, 5, 6),
        ),
    }
    for name, (width, depth, colour, data, key) in cases.items():
        with subtests.test(name):
            (tmp_path / "a.png").write_bytes(chunked_png(width, 1, depth, colour, data, (b"tRNS", key)))
            alpha = load_image(tmp_path / "a.png")[0, :, 3]
            assert alpha.tolist() == [0 if column == 1 else 255 for column in range(width)]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff"])
def test_pictures_come_back_upright(subtests, tmp_path, kind):
    """A camera held sideways writes the rows as they come and says in EXIF how they lie."""
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :12], upright[8:, 12:] = (255, 0, 0), (0, 0, 255)
    lying = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }
    for orientation, stored in lying.items():
        with subtests.test(orientation=orientation):
            exif = Image.Exif()
            exif[0x0112] = orientation
            options = (
                {"quality": 100, "subsampling": 0} if kind == "jpg" else {"lossless": True} if kind == "webp" else {}
            )
            Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{kind}", exif=exif, **options)
            read = load_image(tmp_path / f"a.{kind}")
            assert read.shape == (16, 24, 4)
            assert np.abs(read[..., :3].astype(int) - upright).max() <= 4


def test_jpeg_and_tiff_are_read(subtests, tmp_path):
    smooth = np.asarray(Image.fromarray(PIXELS[:4, :4, :3]).resize((64, 48), Image.Resampling.BICUBIC))
    for name, options, allowed in [
        ("a.jpg", {"quality": 98, "subsampling": 0}, 6),
        ("a.tif", {}, 0),
        ("a.tif", {"compression": "tiff_lzw"}, 0),
        ("a.tiff", {"compression": "tiff_adobe_deflate"}, 0),
    ]:
        with subtests.test(name=name, options=options):
            Image.fromarray(smooth).save(tmp_path / name, **options)
            assert np.abs(load_image(tmp_path / name)[..., :3].astype(int) - smooth).max() <= allowed


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_cmyk_is_converted_by_its_profile(tmp_path, kind):
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, 16:32, 0], inks[:, 32:, 3] = 255, 255
    Image.fromarray(inks, "CMYK").save(tmp_path / f"a.{kind}", icc_profile=cmyk_profile(), quality=98)
    read = load_image(tmp_path / f"a.{kind}")
    for column, colour in [(8, (255, 255, 255)), (24, (0, 255, 255)), (40, (0, 0, 0))]:
        assert np.abs(read[8, column, :3].astype(int) - colour).max() <= 8
    assert (read[..., 3] == 255).all()


def test_inks_of_which_it_is_not_known_whether_they_are_inverted_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("CMYK", (16, 16), (200, 0, 0, 0)).save(buffer, "JPEG", icc_profile=cmyk_profile())
    data = buffer.getvalue()
    place = data.index(b"Adobe\0") - 4
    length = int.from_bytes(data[place + 2 : place + 4], "big")
    (tmp_path / "a.jpg").write_bytes(data[:place] + data[place + 2 + length :])
    with pytest.raises(UnreadableFile, match="does not say whether its inks are inverted"):
        load_image(tmp_path / "a.jpg")


def test_adobe_rgb_as_cameras_state_it(subtests, tmp_path):
    """DCF: ColorSpace is 65535 and the interoperability rule R03; some cameras write ColorSpace 2 instead."""
    picture = Image.new("RGB", (16, 16), (40, 200, 60))
    for space, rule, converted in [(65535, "R03", True), (2, None, True), (65535, "R98", False), (1, "R98", False)]:
        with subtests.test(space=space, rule=rule):
            exif = Image.Exif()
            exif[0x8769] = {0xA001: space} | ({} if rule is None else {0xA005: {1: rule}})
            for kind, options in [("webp", {"lossless": True}), ("jpg", {"quality": 100, "subsampling": 0})]:
                picture.save(tmp_path / f"a.{kind}", exif=exif, **options)
                read = load_image(tmp_path / f"a.{kind}")[8, 8, :3].astype(int)
                # Adobe RGB's green is outside sRGB: red is clipped to 0
                assert (read[0] == 0) == converted
                if not converted:
                    assert np.abs(read - (40, 200, 60)).max() <= 2


def test_profiles_that_are_damaged_are_not_passed_over(subtests, tmp_path):
    png = chunked_png(1, 1, 8, 2, bytes(4), (b"iCCP", b"ICC Profile\0\0no deflate stream"))
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG", icc_profile=srgb_profile())
    jpeg = buffer.getvalue().replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\2")  # the second part is missing
    for name, data in [("a.png", png), ("a.jpg", jpeg)]:
        with subtests.test(name=name):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(UnreadableFile, match="colour profile that cannot be read"):
                load_image(tmp_path / name)


def test_a_small_picture_behind_a_photograph_is_no_second_picture(tmp_path):
    """Phones write a JPEG of several parts; the first is the photograph."""
    photo = Image.new("RGB", (32, 24), (200, 100, 50))
    photo.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))], quality=95)
    read = load_image(tmp_path / "a.jpg")
    assert read.shape == (24, 32, 4)
    assert np.abs(read[0, 0, :3].astype(int) - (200, 100, 50)).max() <= 4


def test_a_file_that_is_too_short_for_its_stated_size_is_not_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(raw_png(8000, 8000, 8, 6, bytes(1000)))
    monkeypatch.setattr(Image.Image, "convert", None)
    with pytest.raises(UnreadableFile, match="8000x8000"):
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
