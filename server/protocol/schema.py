"""Frozen dataclasses that are validated by their annotations.

    Width = Annotated[int, Between(1, 4096)]

    @dataclass(frozen=True)
    class Picture(Record):
        width: Width
        name: Annotated[str, Length(1, 255)]
        tags: tuple[str, ...] = ()

`Picture(width=0, name="a")` raises `InvalidMessage`. `to_map` converts a record to maps, lists and scalars. `from_map`
makes a record from a map and ignores unknown fields. Supported annotations: `str`, `bytes`, `int`, `float`, `bool`,
`Literal`, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, records, and unions of records that differ in a `kind` field.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# Decoded data can have any type until it is validated here.

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InvalidMessage

logger = logging.getLogger(__name__)

R = TypeVar("R", bound="Record")


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, inclusive."""

    low: float
    high: float

    def problem(self, value: float) -> str | None:
        return None if self.low <= value <= self.high else f"must be from {self.low} to {self.high}"


@dataclass(frozen=True)
class Length:
    """A number of characters, bytes or items from `low` to `high`, inclusive."""

    low: int
    high: int

    def problem(self, value: str | bytes | tuple[Any, ...]) -> str | None:
        if self.low <= len(value) <= self.high:
            return None
        unit = "characters" if isinstance(value, str) else "bytes" if isinstance(value, bytes) else "items"
        return f"must have from {self.low} to {self.high} {unit}, not {len(value)}"


@dataclass(frozen=True)
class Matches:
    """A text that matches `pattern` completely; `meaning` describes it in error messages."""

    pattern: str
    meaning: str

    def problem(self, value: str) -> str | None:
        return None if re.fullmatch(self.pattern, value) else f"must be {self.meaning}"


@dataclass(frozen=True)
class Record:
    """Base of the validated dataclasses.

    Raises:
        InvalidMessage: a field has the wrong type, length or range.
    """

    def __post_init__(self) -> None:
        for name, hint in hints(type(self)).items():
            _check(f"{_title(type(self))}.{name}", getattr(self, name), hint)

    def to_map(self) -> dict[str, Any]:
        """The record as maps, lists and scalars, for msgpack or JSON."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_map(cls: type[R], values: Mapping[Any, Any]) -> R:
        """Make a record from decoded data.

        Args:
            values: a map from msgpack or JSON. Unknown fields are logged and ignored; missing fields get their default.

        Raises:
            InvalidMessage: a field is missing, or has the wrong type, length or range.
        """
        hinted = hints(cls)
        for unknown in values.keys() - hinted.keys():
            logger.info("ignored the unknown field %.60r of %s", unknown, _title(cls))
        for field in dataclasses.fields(cls):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if required and field.name not in values:
                raise InvalidMessage(f"{_title(cls)}.{field.name} is missing.")
        return cls(
            **{
                name: _rebuild(f"{_title(cls)}.{name}", values[name], hint)
                for name, hint in hinted.items()
                if name in values
            }
        )


def since(minor: int, default: Any) -> Any:
    """A field that was added in a minor version of the protocol. With its default, older peers can ignore it."""
    return dataclasses.field(default=default, metadata={"since": minor})


def newest(value: Any) -> int:
    """The lowest minor version that a peer needs for a record and the records in it.

    It is the highest version of all fields made by `since` that are not at their default. A `kind` always counts.
    """
    if isinstance(value, tuple):
        return max(map(newest, value), default=0)
    if not isinstance(value, Record):
        return 0
    minors = [0]
    for field in dataclasses.fields(value):
        current = getattr(value, field.name)
        minors.append(newest(current))
        if current != field.default or field.name == "kind":
            minors.append(field.metadata.get("since", 0))
    return max(minors)


def shared_fields(value: Any, other: type) -> dict[str, Any]:
    """The fields of a dataclass instance that the dataclass `other` has, too, with their values.

    Conversions between two dataclasses that use it include fields that are added to both later.
    """
    theirs = {field.name for field in dataclasses.fields(other)}
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.name in theirs}


@functools.lru_cache(maxsize=None)
def hints(cls: type[Record]) -> dict[str, Any]:
    """The name and the resolved annotation of each field of a record."""
    annotated = get_type_hints(cls, include_extras=True)
    return {field.name: annotated[field.name] for field in dataclasses.fields(cls)}


def _title(cls: type[Record]) -> str:
    return getattr(cls, "type", cls.__name__.lower())


def _check(name: str, value: Any, hint: Any) -> None:
    """Raise `InvalidMessage` unless `value` has the type `hint`."""
    base, *constraints = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    problem = _type_problem(name, value, base)
    for constraint in constraints:
        problem = problem or constraint.problem(value)
    if problem:
        raise InvalidMessage(f"{name} is {_short(value)}; it {problem}.")


def _type_problem(name: str, value: Any, base: Any) -> str | None:
    origin = get_origin(base)
    if origin is Literal:
        return None if value in get_args(base) else "must be one of " + ", ".join(map(repr, get_args(base)))
    if origin in (Union, types.UnionType):
        return _union_problem(name, value, get_args(base))
    if origin is tuple:
        return _tuple_problem(name, value, get_args(base))
    if base is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if number and math.isfinite(value) else "must be a finite number"
    if base is str:
        return None if isinstance(value, str) and _is_unicode(value) else "must be text"
    if isinstance(value, bool) and base is not bool:
        return f"must be {_WORDS.get(base, base.__name__)}"
    return None if isinstance(value, base) else f"must be {_WORDS.get(base, 'a ' + base.__name__.lower())}"


def _union_problem(name: str, value: Any, members: tuple[Any, ...]) -> str | None:
    if value is None and types.NoneType in members:
        return None
    candidates = [member for member in members if member is not types.NoneType]
    if all(isinstance(member, type) and issubclass(member, Record) for member in candidates):
        return None if isinstance(value, tuple(candidates)) else "must be " + " or ".join(map(_title, candidates))
    (only,) = candidates
    _check(name, value, only)
    return None


def _tuple_problem(name: str, value: Any, items: tuple[Any, ...]) -> str | None:
    if not isinstance(value, tuple):
        return "must be a list"
    kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
    if len(kinds) != len(value):
        return f"must have {len(kinds)} items"
    for index, (item, kind) in enumerate(zip(value, kinds, strict=True)):
        _check(f"{name}[{index}]", item, kind)
    return None


_WORDS = {int: "a whole number", bool: "true or false", bytes: "bytes"}


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # an unpaired surrogate, which no decoder accepts
        return False
    return True


def _short(value: Any) -> str:
    """A value as text of at most 60 characters, for error messages. Bytes are not shown."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = ascii(value) if isinstance(value, str) and not _is_unicode(value) else repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_map()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _rebuild(name: str, value: Any, hint: Any) -> Any:
    """Convert lists to tuples and maps to records. Everything else is checked by `_check` later."""
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    origin = get_origin(base)
    if isinstance(value, Mapping):
        return _rebuild_record(name, value, base)
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(base) if member is not types.NoneType]
        return _rebuild(name, value, members[0]) if len(members) == 1 else value
    if origin is tuple and isinstance(value, (list, tuple)):
        items = get_args(base)
        kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)[: len(value)]
        kinds += [object] * (len(value) - len(kinds))
        return tuple(
            _rebuild(f"{name}[{i}]", item, kind) for i, (item, kind) in enumerate(zip(value, kinds, strict=True))
        )
    return value


def _rebuild_record(name: str, value: Mapping[Any, Any], base: Any) -> Any:
    members = get_args(base) if get_origin(base) in (Union, types.UnionType) else (base,)
    records = [member for member in members if isinstance(member, type) and issubclass(member, Record)]
    if len(records) == 1:
        return records[0].from_map(value)
    for record in records:
        if value.get("kind") == next(f.default for f in dataclasses.fields(record) if f.name == "kind"):
            return record.from_map(value)
    if records:
        raise InvalidMessage(
            f"{name}.kind is {_short(value.get('kind'))}; it must be {' or '.join(map(_title, records))}."
        )
    return value
