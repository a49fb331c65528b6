"""Frames for the attack of `fuzz.py`: valid messages made from the schema, and what hostile clients make of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import random
import struct
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgpack

from layerfusion.server.protocol.errors import InvalidMessage
from layerfusion.server.protocol.frames import CHUNK_BYTES, Chunk
from layerfusion.server.protocol.messages import (
    FROM_CLIENT,
    FROM_SERVER,
    TYPES,
    Message,
)
from layerfusion.server.protocol.schema import Between, Length, Matches, Record
from layerfusion.server.protocol.wire import Wire

WIRE = Wire(msgpack.packb, msgpack.unpackb)


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


LAYER = b"\1\2\3\4" * 64 * 64
_SENSIBLE = {
    "model": ["tiny"],
    "sampler": [None],
    "layer": [hashlib.sha256(LAYER).hexdigest()],
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
