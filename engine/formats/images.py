"""Single pictures: PNG, WebP, JPEG and TIFF files to pixels, and pixels to PNG bytes.

The libraries decode; what they leave out or get wrong is done here: colours that a profile or a PNG chunk gives another
meaning than sRGB, 16 bits a channel, transparent colours, and pictures that lie on their side.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from layerfusion.engine.errors import InvalidLayer, UnreadableFile
from layerfusion.engine.formats import tiff_tags
from layerfusion.engine.formats.files import MAX_SIDE, check_file, reading
from layerfusion.engine.formats.png_chunks import PngHeader, read_header, stated_encoding
from layerfusion.engine.image.colour import (
    ADOBE_RGB,
    Encoding,
    pixels_to_srgb,
    profile_to_srgb,
    to_eight_bits,
    to_srgb,
)
from layerfusion.engine.image.layers import DEFAULT_RESOLUTION, Pixels

FORMATS = ("PNG", "WEBP", "JPEG", "TIFF")
"""What `load_image` reads, by Pillow's names."""

KINDS = "PNG, WebP, JPEG or TIFF picture"
"""The same for messages."""

XMP_KEYWORD = "XML:com.adobe.xmp"
"""The keyword of the iTXt chunk that holds a PNG's XMP."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin; the latter two are those of more than 4 GiB."""

_ORIENTATION, _EXIF, _INTEROPERABILITY, _COLOUR_SPACE = 0x0112, 0x8769, 0xA005, 0xA001
_ADOBE, _UNCALIBRATED = 2, 0xFFFF


def load_image(path: str | os.PathLike[str]) -> Pixels:
    """Read a PNG, WebP, JPEG or TIFF file.

    Grey, indexed and RGB pictures with 1, 2, 4, 8 or 16 bits a channel, and CMYK pictures with a profile. Colours that
    the file says are not sRGB are converted; all others keep their bytes, including colour under alpha 0. Pictures that
    are marked as turned or mirrored (EXIF orientation) come back upright, pictures without alpha opaque.

    Returns:
        uint8 (H, W, 4), sRGB, straight alpha; at most 8192 px a side.

    Raises:
        UnreadableFile: the file is missing, of another kind, truncated, too large, or animated, or it uses a feature
            that is not supported, which is named.
    """
    path = Path(path)
    with reading(path, KINDS):
        check_file(path)
        return decode(path.read_bytes(), f"“{path}”", FORMATS)


def decode(data: bytes, name: str, formats: tuple[str, ...] = ("PNG",)) -> Pixels:
    """Decode a picture file's bytes to uint8 (H, W, 4), sRGB, straight alpha; see `load_image`.

    Args:
        data: the file's bytes.
        name: the picture's name in error messages.
        formats: the accepted formats, by Pillow's names.

    Raises:
        UnreadableFile: see `load_image`.
        Exception: anything that Pillow raises on broken bytes; call this inside `files.reading`.
    """
    if "TIFF" in formats and data[:4] in _TIFF:
        tiff_tags.check(data, name)
    image = _open(data, formats)
    if max(image.size) > MAX_SIDE:
        raise UnreadableFile(
            f"{name} is {image.width}x{image.height} px.", f"Choose an image of up to {MAX_SIDE} px a side."
        )
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # phones put small pictures behind a JPEG
        what = "has several pages" if image.format == "TIFF" else "is animated"
        raise UnreadableFile(f"{name} {what}.", "Save the one you want as a separate image.")
    header = read_header(data, name) if image.format == "PNG" else None
    _refuse_misread(image, header, name)
    try:
        pixels = _to_pixels(image, data, header, name)
    except InvalidLayer as error:
        raise UnreadableFile(f"{name} cannot be used: {error.message}", error.hint) from error
    if image.format == "TIFF":  # Pillow has turned it
        return pixels
    return _upright(pixels, image.getexif().get(_ORIENTATION, 1))  # asked last, as it decodes a PNG


def encode(
    pixels: Pixels,
    resolution: tuple[float, float] = DEFAULT_RESOLUTION,
    xmp: bytes = b"",
    parameters: str = "",
) -> bytes:
    """Encode uint8 (H, W, 4), sRGB, straight alpha, as PNG bytes.

    Args:
        resolution: pixels per inch, horizontally and vertically.
        xmp: an XMP packet; empty writes none.
        parameters: the text that Stable Diffusion programs keep under this name; empty writes none.
    """
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\0")
    if parameters:
        chunks.add_itxt("parameters", parameters)
    if xmp:
        chunks.add_itxt(XMP_KEYWORD, xmp.decode())
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", pnginfo=chunks, dpi=resolution)
    return buffer.getvalue()


def _open(data: bytes, formats: tuple[str, ...]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=formats)


def _refuse_misread(image: Any, header: PngHeader | None, name: str) -> None:
    """Refuse what Pillow would read without a word, and not as it is meant; for TIFF, see `tiff_tags` too.

    Raises:
        UnreadableFile: the picture is of such a kind.
    """
    why = ""
    if image.mode not in ("1", "L", "La", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I;16", "I;16B", "I"):
        why = f"has the colours that Pillow calls “{image.mode}”"
    elif image.mode == "CMYK" and not image.info.get("icc_profile"):
        why = "is CMYK without a colour profile"
    elif image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        why = "is CMYK and does not say whether its inks are inverted"  # Pillow takes them for inverted
    elif not image.info.get("icc_profile") and _has_profile(image, header):
        why = "has a colour profile that cannot be read"  # Pillow passes over it
    if why:
        raise UnreadableFile(f"{name} {why}.", "Save it as RGB with 8 or 16 bits a channel.")


def _has_profile(image: Any, header: PngHeader | None) -> bool:
    """Whether there is a profile in the file, readable or not."""
    if header is not None:
        return b"iCCP" in header.chunks and b"cICP" not in header.chunks
    return any(data.startswith(b"ICC_PROFILE\0") for _, data in getattr(image, "applist", ()))


def _exif_encoding(image: Any) -> Encoding | None:
    """Adobe RGB if the camera says so in the way of DCF 2.0 (JEITA CP-3461), which knows no profile; else None."""
    exif = image.getexif()
    space, rule = exif.get_ifd(_EXIF).get(_COLOUR_SPACE), exif.get_ifd(_INTEROPERABILITY).get(1, "")
    optional = space == _UNCALIBRATED and str(rule).startswith("R03")
    return ADOBE_RGB if optional or space == _ADOBE else None


def _to_pixels(image: Any, data: bytes, header: PngHeader | None, name: str) -> Pixels:
    """Decode, and convert to 8-bit sRGB. The picture is turned only if Pillow turns it.

    Raises:
        InvalidLayer: the profile cannot be read or does not fit.
        UnreadableFile: an encoding that is not supported.
    """
    profile: Any = image.info.get("icc_profile")
    if header is not None:
        stated = stated_encoding(header, name)
    else:
        stated = None if profile is not None else _exif_encoding(image)
    if header is not None and b"cICP" in header.chunks:
        profile = None  # the chunk is for programs that know it, the profile for those that do not
    deep = _sixteen_bits(image, data, header)
    if deep is not None and stated is not None:
        return np.concatenate([to_srgb(deep[..., :3], stated), to_eight_bits(deep[..., 3:])], axis=-1)
    if deep is not None:
        return pixels_to_srgb(deep, profile)
    if image.mode == "CMYK":
        assert profile is not None  # it was refused without one
        return np.asarray(profile_to_srgb(image, profile).convert("RGBA"))
    transparent = _transparent(image, header)
    if profile is not None:
        kept = image.mode if image.mode in ("L", "LA", "RGB") else "L" if image.mode == "1" else "RGBA"
        image = profile_to_srgb(image.convert(kept), profile)
    pixels = np.asarray(image.convert("RGBA"))
    if transparent is not None or stated is not None:
        pixels = pixels.copy()
    if stated is not None:
        pixels[..., :3] = to_srgb(pixels[..., :3], stated)
    if transparent is not None:
        pixels[..., 3] = np.where(transparent, 0, 255)
    return pixels


def _transparent(image: Any, header: PngHeader | None) -> NDArray[np.bool_] | None:
    """Where a grey or RGB PNG of at most 8 bits a channel has the colour that it states to be transparent.

    Pillow compares the stated value with grey values that it has stretched to 8 bits before.
    """
    key = None if header is None else header.transparent
    if header is None or key is None:
        return None
    image.info.pop("transparency", None)
    scale = 255 // (2**header.depth - 1)
    values = np.asarray(image.convert("L" if header.channels == 1 else "RGB")).reshape(*image.size[::-1], -1)
    return np.all(values == np.array(key) * scale, axis=-1)


def _sixteen_bits(image: Any, data: bytes, header: PngHeader | None) -> NDArray[np.uint16] | None:
    """uint16 (H, W, 4) of a picture with 16 bits a channel; None of any other.

    Pillow keeps 16 bits of grey pictures only. Of the others it is made to decode the upper bytes first, and then, with
    the other byte order, the lower ones.
    """
    raw, order = _raw_mode(image)
    if header is not None and (header.depth, header.colour_type) == (16, 4):
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]  # grey and alpha, byte by byte
        values = np.asarray(image).view(">u2").astype(np.uint16)
        return np.concatenate([np.repeat(values[..., :1], 3, axis=2), values[..., 1:]], axis=-1)
    if image.mode in ("I;16", "I;16B", "I"):
        grey: NDArray[np.uint16] = np.clip(np.asarray(image), 0, 65535).astype(np.uint16)
        values: Any = np.repeat(grey[..., None], 3, axis=2)
    elif raw in ("RGB", "RGBA", "RGBa") and order:
        low = _open(data, (image.format,))
        native = "B" if sys.byteorder == "little" else "L"
        other = {"B": "L", "L": "B", "N": native}[order]
        image.tile = [_with_raw_mode(tile, f"{raw.upper()};16{order}") for tile in image.tile]
        low.tile = [_with_raw_mode(tile, f"{raw.upper()};16{other}") for tile in low.tile]
        values = (np.asarray(image).astype(np.uint16) << 8) | np.asarray(low).astype(np.uint16)
        if raw == "RGBa":  # the colours are multiplied by alpha
            alpha = np.maximum(values[..., 3:], 1).astype(np.uint64)
            values[..., :3] = np.minimum((values[..., :3] * np.uint64(65535) + alpha // 2) // alpha, 65535)
    else:
        return None
    if values.shape[2] == 4:
        return values
    key = None if header is None else header.transparent
    alpha = np.full((*values.shape[:2], 1), 65535, np.uint16)
    if key is not None:
        alpha[np.all(values == np.array(key), axis=-1)] = 0
    return np.concatenate([values, alpha], axis=-1)


def _raw_mode(image: Any) -> tuple[str, str]:
    """The layout of the pixels in the file, such as RGB, and the byte order of 16 bits: B, L, N, or empty for 8."""
    args = image.tile[0].args if image.tile else ""
    name = args if isinstance(args, str) else args[0]
    raw, _, order = str(name).partition(";16")
    return raw, order


def _with_raw_mode(tile: Any, name: str) -> Any:
    return tile._replace(args=name if isinstance(tile.args, str) else (name, *tile.args[1:]))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror a picture as its EXIF orientation, 1-8, says (EXIF 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
