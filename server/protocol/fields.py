"""The types of the fields of messages, and the base classes of all messages.

Sizes and positions are in pixels. Pixel data is BGRA with 8 bits per channel, sRGB, with straight alpha, in rows from
the top without padding, from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar

from .errors import InvalidMessage
from .schema import Between, Length, Matches, Record

PREVIEW_SIDE = 256
"""Longest side of a preview, in pixels."""

Name = Annotated[str, Length(1, 255)]
Text = Annotated[str, Length(0, 4000)]
Prompt = Annotated[str, Length(0, 200_000)]
JobId = Annotated[str, Matches("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a UUID in lower case")]
LayerId = Annotated[str, Matches("[0-9a-f]{64}", "a SHA-256 in lower-case hexadecimal digits")]
Side = Annotated[int, Between(1, 65_535)]
Offset = Annotated[int, Between(-(2**31), 2**31 - 1)]
Count = Annotated[int, Between(0, 2**53 - 1)]
Seed = Annotated[int, Between(0, 2**53 - 1)]
TransferId = Annotated[int, Between(0, 2**32 - 1)]
Sequence = Annotated[int, Between(1, 2**53 - 1)]
Real = Annotated[float, Between(-1e9, 1e9)]
Fraction = Annotated[float, Between(0, 1)]
Seconds = Annotated[float, Between(0, 1e9)]
Instant = Annotated[float, Between(0, 1e12)]
Version = tuple[Count, Count]
Role = Literal["background", "foreground", "shadow", "light", "blended"]
Blend = Literal["normal", "multiply", "add"]
Harmony = Literal["clean", "exact"]
PixelFormat = Literal["bgra8"]
Codec = Literal["raw"]
Priority = Literal["interactive", "batch"]
State = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
ExportFormat = Literal["psd", "ora", "png", "zip"]


@dataclass(frozen=True)
class Message(Record):
    """Base of all messages. Subclasses set `type`."""

    type: ClassVar[str]

    def to_map(self) -> dict[str, Any]:
        return {"type": self.type, **super().to_map()}


@dataclass(frozen=True, kw_only=True)
class SentenceValue(Record):
    """A value in a sentence: a number, a name or a word.

    Attributes:
        name: what it is, by which a translation puts it into its place.
        value: the value as text.
    """

    name: Name
    value: Text


@dataclass(frozen=True, kw_only=True)
class Sentence(Record):
    """A sentence by its name, so that a client can say it in another language.

    Attributes:
        name: which sentence it is; PROTOCOL.md lists them.
        values: the values in it.
    """

    name: Name
    values: tuple[SentenceValue, ...] = ()


class Explained(Protocol):
    """Anything with a code, a message and a hint: an error of the protocol or of the engine, or a `Problem`."""

    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def hint(self) -> str: ...


P = TypeVar("P", bound="Problem")


@dataclass(frozen=True, kw_only=True)
class Problem(Message):
    """Base of all messages that report an error.

    Attributes:
        code: the error as a code for programs; PROTOCOL.md lists the codes.
        message: what is wrong, for people, in one sentence.
        hint: the remedy, for people, in one sentence; may be empty.
    """

    code: Name
    message: Text
    hint: Text = ""

    @classmethod
    def of(cls: type[P], error: Explained, **about: Any) -> P:
        """Make a message about an error.

        Args:
            error: the error. Its message and hint are cut at 4000 characters.
            about: the other fields of the message.
        """
        return cls(code=error.code, message=error.message[:4000], hint=error.hint[:4000], **about)


def check_area(name: str, width: int, height: int, size: int) -> None:
    """Raise `InvalidMessage` unless `size` is the number of bytes of `width` x `height` pixels."""
    if size != 4 * width * height:
        raise InvalidMessage(f"{name} has {size} bytes for {width}x{height} pixels; it needs {4 * width * height}.")
