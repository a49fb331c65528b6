"""Reading a file of another program in a separate process: its bytes are hostile, and decoding takes seconds of Python.

    python -m layerfusion.server.worker.import_process FILE LAYERS NAME

The process decodes, prints how many bytes its layers need, and writes them into the store only after a line on its
standard input, so that the server can refuse them. It makes no other files.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath
from typing import Any

from layerfusion.engine import formats
from layerfusion.engine.errors import EngineError, UnreadableFile
from layerfusion.engine.formats import ora
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.stack import LayerStack
from layerfusion.server import translate
from layerfusion.server.protocol.errors import InternalError, ProtocolError
from layerfusion.server.protocol.messages import FileRead
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker.export_process import ProcessFailed

_SECONDS = 120.0
_LONGEST_LINE = 2**22
_RECORD = 500_000
"""Longest text of a record, as `FileRead` has it."""


async def read(file: Path, layers: Path, digest: str, name: str, admit: Callable[[int], Awaitable[None]]) -> FileRead:
    """Read a file and put its layers into the store.

    Args:
        file: the file.
        layers: the folder of the layer store.
        digest: SHA-256 of the file.
        name: its name, for messages.
        admit: is called with the number of bytes of the layers before they are written, and raises if it refuses them.

    Raises:
        ProcessFailed: the file cannot be read, or the disk is full.
        InternalError: the process failed in another way or took longer than 120 s.
        EngineError, ProtocolError: what `admit` raises.
    """
    # -P: modules are not looked for in the current folder, whose files are not ours.
    arguments = ["-P", "-m", "layerfusion.server.worker.import_process", str(file), str(layers), name]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(_SECONDS):
            decoded = _answer(await process.stdout.readline())
            await admit(decoded["bytes"])
            process.stdin.write(b"write\n")
            written = _answer(await process.stdout.readline())
        return FileRead.from_map({**written, "file": digest})
    except (TimeoutError, ValueError, KeyError, OSError) as error:
        raise InternalError(f"“{name}” could not be read.", "Save it again in the program it comes from.") from error
    finally:
        process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _answer(line: bytes) -> dict[str, Any]:
    answer = json.loads(line)
    if "code" in answer:
        raise ProcessFailed(**answer)
    return answer


def decode(path: Path, name: str) -> LayeredImage:
    """The layers of a file, whatever its suffix says: by its first bytes it is a PSD, an OpenRaster or a picture.

    Args:
        path: the file.
        name: the name under which the artist knows it, which messages have in place of the path.

    Raises:
        UnreadableFile: see `formats.load` and `formats.load_image`.
    """
    try:
        with path.open("rb") as file:
            first = file.read(4)
        if first == b"8BPS":
            from layerfusion.engine.formats import psd  # it takes as long to import as all the rest

            read = psd.load(path)
        elif first == b"PK\3\4":
            read = ora.load(path)
        else:
            pixels = formats.load_image(path)
            height, width, _ = pixels.shape
            layer = Layer(name=_title(name), role=Role.FOREGROUND, pixels=pixels)
            return LayeredImage(name=_title(name), size=Size(width, height), layers=(layer,))
    except UnreadableFile as error:
        raise UnreadableFile(error.message.replace(str(path), name), error.hint.replace(str(path), name)) from error
    title = _title(name) if read.name == path.stem else read.name
    return LayerStack(name=title, size=read.size, layers=read.layers, record=read.record)


def _title(name: str) -> str:
    return PurePath(name).stem[:255] or "Picture"


def _described(stack: LayeredImage, store: LayerStore) -> dict[str, Any]:
    """The fields of `FileRead`, after the layers were written."""
    record = translate.record_text(stack)
    if len(record) > _RECORD:
        raise UnreadableFile(
            f"“{stack.name}” says more about its layers than can be read.", "Save it without its prompts."
        )
    placed = tuple(translate.to_placed(layer, store) for layer in stack)
    message = FileRead(
        file="0" * 64,
        width=stack.size.width,
        height=stack.size.height,
        title=stack.name,
        layers=placed,
        record=record,
    )
    return message.to_map()


def main(arguments: list[str]) -> None:
    """Read one file; print its size, and after a line of input what was written, or an error, as JSON."""
    path, layers, name = arguments
    try:
        stack = decode(Path(path), name)
        _say({"bytes": sum(layer.pixels.nbytes for layer in stack)})
        if not sys.stdin.readline():
            return
        _say(_described(stack, LayerStore(Path(layers))))
    except (EngineError, ProtocolError) as error:
        _say({"code": error.code, "message": error.message, "hint": error.hint})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="utf-8")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1:])
