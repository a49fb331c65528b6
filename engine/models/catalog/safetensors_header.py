"""Reading and checking the header of an untrusted safetensors file, without its weights and without torch."""

from __future__ import annotations

import json
import math
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import BrokenModel

MAX_HEADER = 100_000_000
"""Largest header in bytes; the safetensors library has the same limit."""

_BYTES = {
    **{"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2},
    **{"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I8": 1, "U8": 1, "BOOL": 1},
}
"""Size of one value in bytes, by safetensors' dtype name."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: its dtype, as safetensors names it (such as “F16”), and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * _BYTES[self.dtype]


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file.

    Attributes:
        file: the file.
        tensors: the tensors by name, in the file's order.
        metadata: text fields of the header; may be empty.
    """

    file: Path
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    @property
    def parameters(self) -> int:
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of one tensor; None if the file does not have it."""
        tensor = self.tensors.get(name)
        return None if tensor is None else tensor.shape


def read_header(file: Path) -> Header:
    """Read and check the header of a safetensors file; its weights are not read.

    Raises:
        BrokenModel: the file is missing, a pickle, of another format, damaged or truncated; the message says which.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise BrokenModel(f"{file} is {_kind_of(status.st_mode)}, not a file.", "Give a .safetensors file.")
        size = status.st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            (length,) = struct.unpack("<Q", start.ljust(8, b"\0"))
            plausible = len(start) == 8 and 2 <= length <= min(MAX_HEADER, size - 8)
            text = stream.read(length) if plausible else b""
            if not text.startswith(b"{"):
                stream.seek(0)
                raise _not_safetensors(file, stream.read(512), size)
    except OSError as error:
        raise BrokenModel(
            f"The model file {file} cannot be read ({error.strerror or error}).", "Check the path, or fetch it again."
        ) from error
    tensors, metadata = _parse(file, text)
    _check_extent(file, text, size - 8 - length)
    return Header(file, tensors, metadata)


def _kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _parse(file: Path, text: bytes) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    try:
        entries: dict[str, Any] = json.loads(text)
        metadata = {str(key): str(value) for key, value in entries.pop("__metadata__", {}).items()}
        tensors = {}
        for name, entry in entries.items():
            info = TensorInfo(str(entry["dtype"]), tuple(int(side) for side in entry["shape"]))
            begin, end = entry["data_offsets"]
            if info.dtype in _BYTES and end - begin != info.bytes:
                raise ValueError(f"“{name}” has {end - begin} bytes, but its shape needs {info.bytes}")
            tensors[name] = info
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenModel(f"The header of {file} is damaged ({error}).", "Fetch the file again.") from error
    return tensors, metadata


def _check_extent(file: Path, text: bytes, found: int) -> None:
    """Refuse a file whose weights have more or fewer bytes than the header says.

    Args:
        file: the file, for the message.
        text: its header.
        found: bytes after the header.

    Raises:
        BrokenModel: the numbers differ.
    """
    entries = json.loads(text)
    expected = max((entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0)
    if found != expected:
        what = "is truncated" if found < expected else "has extra data after its weights"
        raise BrokenModel(
            f"{file} {what}: {expected:,} bytes of weights were expected, but {found:,} were found.",
            "Fetch the file again.",
        )


def _not_safetensors(file: Path, start: bytes, size: int) -> BrokenModel:
    """The error for a file of another format; it says what the file seems to be and what to do.

    Args:
        file: the file, for the message.
        start: its first 512 bytes.
        size: its size in bytes.
    """
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return BrokenModel(
            f"{file} is a Python pickle (.ckpt, .pt or .bin). Opening a pickle can run any program hidden in it, so "
            "layerfusion never opens one.",
            "Get the model's .safetensors version, which nearly every model has.",
        )
    if start.startswith(b"version https://git-lfs"):
        return BrokenModel(
            f"{file} is a Git LFS pointer of {size} bytes, not the weights.", "Run “git lfs pull” in its repository."
        )
    if start.startswith(b"GGUF"):
        return BrokenModel(
            f"{file} is a GGUF file, whose weights are quantised in blocks.",
            "Use the model's .safetensors version in float16 or float8.",
        )
    if start.lstrip()[:1] == b"<":
        return BrokenModel(
            f"{file} is a web page, not the weights: the site probably wanted a login or the acceptance of a licence.",
            "Sign in at the site, accept its terms and fetch the file again.",
        )
    if size < 8:
        return BrokenModel(f"{file} has {size} bytes, so it is no safetensors file.", "Fetch the file again.")
    return BrokenModel(
        f"{file} is no safetensors file, or its header is damaged.", "Fetch the .safetensors file again."
    )
