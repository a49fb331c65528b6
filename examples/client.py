"""A complete client of the layerfusion server, written from PROTOCOL.md. It does not use the layerfusion package.

pip install websockets msgpack
layerfusion serve                                      # in another terminal
python client.py "a red apple" "a beach at sunset" apple.png
"""

import hashlib
import json
import os
import struct
import sys
import uuid
import zlib
from pathlib import Path

import msgpack
from websockets.sync.client import connect


def main(foreground: str, background: str, out: str) -> None:
    default = {"win32": os.environ.get("LOCALAPPDATA"), "darwin": "~/Library/Application Support"}.get(sys.platform)
    folder = Path(default or os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "layerfusion"
    server = json.loads(Path(os.environ.get("LAYERFUSION_RUNTIME", folder / "server.json")).read_text("utf-8"))
    token = {"Authorization": f"Bearer {server['token']}"}
    with connect(server["url"], additional_headers=token, compression=None, proxy=None, max_size=1_572_864) as socket:
        send = lambda **message: socket.send(msgpack.packb(message))  # noqa: E731
        send(type="hello", protocol=[1, 3], client="example", version="1")
        job = str(uuid.uuid4())
        layer, pixels = {}, bytearray()
        for frame in socket:
            if frame[0] == 1:  # a chunk: kind, three zeros, transfer, index, data
                transfer, _index = struct.unpack(">II", frame[4:12])
                if transfer == layer.get("transfer"):
                    pixels += frame[12:]
                continue
            message = msgpack.unpackb(frame)
            match message["type"]:
                case "welcome":
                    source = lambda prompt: {"kind": "generated", "prompt": prompt}  # noqa: E731
                    picture = {"width": 512, "height": 512, "model": message["models"][0]["name"], "seed": 7}
                    layers = {"background": source(background), "foregrounds": [source(foreground)]}
                    send(type="submit", job=job, **picture, **layers)
                case "progress":
                    print(f"{message['text']}: {message['step']} of {message['total']}")
                case "notice":
                    print(message["text"])
                case "layer_begin":
                    layer, pixels = message, bytearray()
                case "layer_end":
                    assert hashlib.sha256(pixels).hexdigest() == layer["sha256"]
                    print(f"{layer['name']}: {layer['width']}x{layer['height']}, {layer['blend']}")
                    if layer["role"] == "blended":
                        Path(out).write_bytes(png(layer["width"], layer["height"], pixels))
                case "done":
                    send(type="ack", job=job, seq=message["seq"])
                    return
                case "failed" | "refused":
                    sys.exit(f"{message['message']} {message['hint']}")


def png(width: int, height: int, bgra: bytes) -> bytes:
    """Encode 8-bit BGRA pixels with straight alpha, in rows from the top, as a PNG file."""
    rgba = bytearray(bgra)
    rgba[0::4], rgba[2::4] = bgra[2::4], bgra[0::4]
    rows = b"".join(b"\0" + rgba[start : start + 4 * width] for start in range(0, len(rgba), 4 * width))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = [b"IHDR" + header, b"IDAT" + zlib.compress(rows), b"IEND"]
    sealed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


if __name__ == "__main__":
    main(*sys.argv[1:4])
