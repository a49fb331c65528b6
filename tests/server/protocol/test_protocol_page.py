"""PROTOCOL.md agrees with the code: its examples are decoded, and its numbers are compared."""

import json
import re
from pathlib import Path

import msgpack

from layerfusion.engine.notices import SENTENCES
from layerfusion.server import protocol
from layerfusion.server.config import ServerConfig
from layerfusion.server.net import handshakes, session
from layerfusion.server.protocol import MAJOR, MINOR, frames
from layerfusion.server.protocol.frames import Chunk
from layerfusion.server.protocol.location import Runtime
from layerfusion.server.protocol.messages import Hello
from layerfusion.server.protocol.wire import Wire

PAGE = (Path(protocol.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
WIRE = Wire(msgpack.packb, msgpack.unpackb)


def test_the_page_is_about_this_version():
    assert PAGE.startswith(f"# The layerfusion protocol, version {MAJOR}.{MINOR}\n")
    assert f"\n| {MAJOR}.{MINOR} |" in PAGE


def test_the_runtime_file_is_as_shown():
    (example,) = re.findall(r"```json\n(.+?)\n```", PAGE, re.DOTALL)
    runtime = Runtime.from_map(json.loads(example))
    assert runtime.to_map().keys() == json.loads(example).keys()
    assert runtime.protocol.startswith(f"{MAJOR}.")


def test_the_bytes_are_as_shown():
    hello, chunk = (
        bytes.fromhex(line) for line in re.findall(r"^(?:[0-9a-f]{2} ){11,}[0-9a-f]{2}$", PAGE, re.MULTILINE)
    )
    assert WIRE.decode(hello) == Hello(protocol=(1, 1), client="mine", version="1")
    assert WIRE.decode(chunk) == Chunk(3, 0, bytes([0, 0, 255, 255]))
    assert WIRE.encode(WIRE.decode(chunk)) == chunk


def test_the_limits_are_as_documented(subtests):
    for number, words in [
        (frames.MAX_FRAME, "longer than {}"),
        (frames.MAX_FRAME, "messages of {} bytes"),
        (frames.CHUNK_BYTES, "1 to {} bytes"),
        (session.MAX_MESSAGE, "at most {} bytes long"),
        (session.SMALL_CHUNK, "shorter than {} bytes"),
        (ServerConfig().message_burst, "{} of them"),
        (int(ServerConfig().message_rate), "{} a second in the long run"),
        (int(handshakes.SECONDS), "not whole after {} seconds"),
        (ServerConfig().max_connections, "({} by default)"),
        (session._unpackb.keywords["max_map_len"], "{} keys in a map"),
        (session._unpackb.keywords["max_array_len"], "{} items in a list"),
    ]:
        with subtests.test(number=number, words=words):
            text = re.sub(r"\s+", " ", PAGE)
            assert words.format(number) in text or words.format(f"{number:,}") in text


def test_every_line_fits_a_reader():
    drawn = [line for line in PAGE.splitlines() if not line.startswith("|") and not re.match(r"[0-9a-f]{2} ", line)]
    assert max(map(len, drawn)) <= 130


def test_the_sentences_are_those_of_the_engine():
    """If this fails: the table of sentences in section 8 needs the changed row."""
    _, _, table = PAGE.partition("\n| sentence | text |\n|---|---|\n")
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table.partition("\n\n")[0], re.MULTILINE)) == SENTENCES
