"""Hostile frames: how the server handles bytes that our own clients never send.

    python tests/proofs/fuzz.py --frames 1000000

Frames are random bytes, random msgpack, valid messages with fields exchanged, valid messages and chunks with bytes
exchanged, and unchanged valid ones. Each goes to a conversation that is new, greeted or in the middle of an upload. If
the conversation accepts a submission, a request is made of it. For every frame, there must be no exception other than
a named error; a client that is refused must get the reason before the websocket is closed with the right code; and
memory must not grow.

The same seed makes the same frames.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import hashlib
import random
import struct
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgpack

from layerfusion.engine.errors import EngineError
from layerfusion.server import translate
from layerfusion.server.config import ServerConfig
from layerfusion.server.net.session import Close, Commit, Drop, Keep, Send, Session
from layerfusion.server.protocol import MAJOR, MINOR
from layerfusion.server.protocol.errors import InvalidMessage, ProtocolError
from layerfusion.server.protocol.frames import CHUNK_BYTES, MAX_FRAME, Chunk
from layerfusion.server.protocol.messages import (
    FROM_CLIENT,
    FROM_SERVER,
    TYPES,
    Failed,
    Hello,
    Message,
    Refused,
    Submit,
    Upload,
    Welcome,
)
from layerfusion.server.protocol.schema import Between, Length, Matches, Record
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import LayerStore

WIRE = Wire(msgpack.packb, msgpack.unpackb)
CLOSE_CODES = {1003, 1008}
MOST_GROWTH = 64 * 2**20
"""Number of bytes by which the process may grow."""

WARM_UP = 5000
"""Number of frames before memory is measured; they fill caches, compiled patterns and the allocator's arenas."""


class Broken(AssertionError):
    """The server did something that it must not do. The text contains the frame."""


# ---- valid messages


def valid(random: random.Random) -> Message:
    """A random valid message."""
    while True:
        cls = random.choice(FROM_CLIENT if random.random() < 0.8 else FROM_SERVER)
        try:
            return _record(cls, random)
        except InvalidMessage:  # fields that do not go together, such as pixels and their size
            continue


def _record(cls: type[Record], random: random.Random) -> Any:
    return cls(
        **{
            name: random.choice(_SENSIBLE[name])
            if name in _SENSIBLE and random.random() < 0.7
            else _value(hint, random)
            for name, hint in _hints(cls).items()
        }
    )


@functools.cache
def _hints(cls: type[Record]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


_LAYER = b"\1\2\3\4" * 64 * 64
_SENSIBLE = {
    "model": ["tiny"],
    "sampler": [None],
    "layer": [hashlib.sha256(_LAYER).hexdigest()],
    "width": [64, 64, 64, 64, 128, 4096],
    "height": [64, 64, 64, 64, 128, 4096],
    "prompt": ["a red apple"],
    "steps": [None, 1, 50],
    "guidance_rescale": [None, 0.5],
    "guidance_scale": [None, 5.0],
    "transfer": [0],
    "blended_strength": [None, 0.5],
    "box": [None],
    "preset": [None, "paper", "fast"],
    "name": ["prior", "amodal", "share_strength", "blend_blocks", "smallest_grid"],
    "value": ["lagged", "true", "0.5", "none", "8", "nan"],
    "negative_prompt": [""],
    "blended_prompt": [None],
}
"""Values with which a message passes the first checks."""


def _value(hint: Any, random: random.Random) -> Any:
    base, *limits = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    origin, arguments = get_origin(base), get_args(base)
    if origin is Literal:
        return random.choice(arguments)
    if origin in (Union, types.UnionType):
        return _value(random.choice(arguments), random)
    if base is types.NoneType:
        return None
    if origin is tuple:
        kinds = [arguments[0]] * random.randint(*_most(limits, 3)) if arguments[-1] is Ellipsis else arguments
        return tuple(_value(kind, random) for kind in kinds)
    if isinstance(base, type) and issubclass(base, Record):
        return _record(base, random)
    return _scalar(base, limits, random)


def _scalar(base: Any, limits: list[Any], random: random.Random) -> Any:
    if base is bool:
        return random.random() < 0.5
    for limit in limits:
        if isinstance(limit, Between):
            edges = [limit.low, limit.high, random.uniform(limit.low, limit.high)]
            return base(random.choice(edges))
        if isinstance(limit, Matches):
            return "".join("-" if c == "-" else random.choice("0123456789abcdef") for c in _pattern(limit))
    low, high = _most(limits, 20)
    if base is bytes:
        return random.randbytes(random.randint(low, high))
    return "".join(random.choice("ab äß林\0\n😀") for _ in range(random.randint(low, high)))


def _pattern(limit: Matches) -> str:
    return "0" * 64 if "SHA" in limit.meaning else "00000000-0000-0000-0000-000000000000"


def _most(limits: list[Any], most: int) -> tuple[int, int]:
    for limit in limits:
        if isinstance(limit, Length):
            return limit.low, max(limit.low, min(limit.high, most))
    return 0, most


# ---- hostile ones


def junk(random: random.Random, depth: int = 0) -> Any:
    """A random value that msgpack can encode."""
    kinds = 10 if depth < 4 else 8
    match random.randrange(kinds):
        case 0:
            return None
        case 1:
            return random.choice([0, -1, 1, 2**31, 2**53, 2**63, 2**64 - 1, -(2**63), random.randrange(1000)])
        case 2:
            return random.choice([0.0, -0.0, float("nan"), float("inf"), 1e308, random.random()])
        case 3:
            return random.random() < 0.5
        case 4:
            return "x" * random.choice([0, 1, 255, 256, 5000]) + random.choice(["", "\0", "../", "😀", "\x1b[2J"])
        case 5:
            return random.randbytes(random.choice([0, 1, 32, 1000]))
        case 6:
            return msgpack.ExtType(random.randrange(128), random.randbytes(4))
        case 7:
            return random.choice(list(TYPES))
        case 8:
            return [junk(random, depth + 1) for _ in range(random.randrange(5))]
        case _:
            return {random.choice(_FIELDS): junk(random, depth + 1) for _ in range(random.randrange(5))}


_FIELDS = sorted({name for cls in TYPES.values() for name in _hints(cls)} | {"type", "kind", "x" * 300})


def with_other_fields(message: Message, random: random.Random) -> bytes:
    """A valid message with some fields removed, replaced by random values, or added."""
    values = message.to_map()
    for _ in range(random.randint(1, 3)):
        name = random.choice([*values, random.choice(_FIELDS)])
        if random.random() < 0.3:
            values.pop(name, None)
        else:
            values[name] = junk(random)
    return msgpack.packb(values)


def with_other_bytes(frame: bytes, random: random.Random) -> bytes:
    """A frame with some bytes removed, exchanged, doubled or added."""
    data = bytearray(frame)
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data[place : place + 1] = random.randbytes(1)
            case 1:
                data[place:place] = random.randbytes(random.randint(1, 8))
            case 2:
                del data[place : place + random.randint(1, 8)]
            case 3:
                data[place:place] = data[place : place + random.randint(1, 64)]
            case _:
                data[place : place + 4] = struct.pack(">I", random.choice([0, 1, 2**31, 2**32 - 1]))
    return bytes(data)


def chunk(random: random.Random) -> bytes:
    sizes = [1, 10, 4096, 20_000]
    if random.random() < 0.02:
        sizes.append(CHUNK_BYTES)
    size = random.choice(sizes)
    return Chunk(random.choice([0, 1, 2**32 - 1]), random.choice([0, 1, 2**32 - 1]), bytes(size)).to_bytes()


def frame(random: random.Random) -> bytes | str:
    """The next frame of an attack."""
    chance = random.random()
    if chance < 0.05:
        return random.randbytes(random.choice([0, 1, 2, 12, 13, 100, 1000]))
    if chance < 0.1:
        return msgpack.packb(junk(random))
    if chance < 0.2:
        fields = {random.choice(_FIELDS): junk(random) for _ in range(random.randrange(8))}
        return msgpack.packb({**fields, "type": random.choice(list(TYPES))})
    if chance < 0.5:
        return with_other_fields(valid(random), random)
    if chance < 0.65:
        return with_other_bytes(WIRE.encode(valid(random)), random)
    if chance < 0.72:
        return with_other_bytes(chunk(random), random)
    if chance < 0.79:
        return chunk(random)
    if chance < 0.8:
        return "text"
    return WIRE.encode(valid(random))


# ---- the attack


class Attack:
    """A server's conversations, under attack.

    Args:
        folder: the folder of the store.
        seed: the seed of the frames.

    Attributes:
        outcomes: outcome -> how often it happened.
        slowest: seconds that the slowest frame took.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        config = ServerConfig(folder=folder, layer_bytes=2**20)
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.slowest = 0.0
        self._store = LayerStore(folder)
        self._store.put(_LAYER)
        self._welcome = Welcome(
            protocol=(MAJOR, MINOR),
            version="0",
            instance="fuzz",
            models=translate.model_infos(),
            limits=translate.limits(config),
            codecs=("raw",),
        )
        self._random = random.Random(seed)
        self._session = self._converse()

    def run(self, frames: int) -> None:
        """Send the frames. Raises `Broken` as soon as the server does something that it must not do."""
        for _ in range(frames):
            hostile = frame(self._random)
            began = time.perf_counter()
            try:
                outcome = self._take(hostile)
            except Broken:
                raise
            except Exception as error:
                raise Broken(f"{error!r} escaped for the frame {hostile!r:.500}") from error
            self.slowest = max(self.slowest, time.perf_counter() - began)
            self.outcomes[outcome] += 1

    def _take(self, hostile: bytes | str) -> str:
        self._decode(hostile)
        effects = self._session.receive(hostile)
        outcome = "ignored"
        for effect in effects:
            match effect:
                case Send(message):
                    outcome = getattr(message, "code", message.type)
                    if len(WIRE.encode(message)) > MAX_FRAME:
                        raise Broken(f"an answer is too long to be sent: {message!r:.500}")
                case Close(code):
                    self._check_goodbye(effects, code)
                    outcome = f"{outcome}, closed {code}"
                    self._session = self._converse()
                case Submit():
                    outcome = self._submit(effect)
                case Upload() | Keep() | Commit() | Drop():
                    outcome = type(effect).__name__.lower()
                case Message():
                    outcome = effect.type
                case _:
                    raise Broken(f"an unknown effect: {effect!r:.500}")
        return outcome

    def _decode(self, hostile: bytes | str) -> None:
        """A connection to the server, without a session."""
        with contextlib.suppress(ProtocolError):
            WIRE.decode(hostile)

    def _submit(self, submit: Submit) -> str:
        try:
            for job in submit.jobs():
                translate.to_request(job, self._store)
        except (EngineError, ProtocolError) as error:
            return f"submit: {Failed.of(error, job=submit.job, seq=0).code}"
        return "submit"

    def _check_goodbye(self, effects: list[Any], code: int) -> None:
        if code not in CLOSE_CODES:
            raise Broken(f"closed with {code}")
        match effects[-2:]:
            case [Send(Refused(message=message)), Close()] if message:
                return
        raise Broken(f"closed without a reason: {effects!r:.500}")

    def _converse(self) -> Session:
        """A conversation that is new, greeted, or in the middle of an upload."""
        session, chance = Session(self._welcome), self._random.random()
        if chance > 0.1:
            session.receive(WIRE.encode(Hello(protocol=(MAJOR, MINOR), client="fuzz", version="0")))
        if chance > 0.6:
            session.receive(WIRE.encode(Upload(transfer=0, layer="0" * 64, bytes=2**20)))
        return session


def resident() -> int | None:
    """The memory of this process in bytes; None if the operating system does not tell it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (ImportError, OSError):
        return None
    return pages * resource.getpagesize()


def prove(frames: int, seed: int) -> Attack:
    """Attack with the given number of frames and print the figures.

    Raises:
        Broken: the server did something that it must not do.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(Path(folder), seed)
        attack.run(min(frames, WARM_UP))
        before = resident()
        attack.run(frames - min(frames, WARM_UP))
        after = resident()
    for outcome, count in attack.outcomes.most_common():
        print(f"{count:9}  {outcome}")
    print(
        f"{frames} frames of seed {seed} in {time.perf_counter() - began:.0f} s; slowest {attack.slowest * 1e3:.1f} ms"
    )
    if before is None or after is None:
        print("memory: unknown on this system")
    else:
        print(f"memory grew by {(after - before) / 2**20:.1f} MiB")
        if after - before > MOST_GROWTH:
            raise Broken(f"memory grew by {after - before} bytes")
    return attack


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    prove(arguments.frames, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
