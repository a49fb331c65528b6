"""The part of msgpack that is used here, for type checkers: it brings no types of its own."""

from typing import Any, NamedTuple

class ExtType(NamedTuple):
    code: int
    data: bytes

def packb(o: Any, **kwargs: Any) -> bytes: ...
def unpackb(packed: Any, **kwargs: Any) -> Any: ...

fallback: Any
