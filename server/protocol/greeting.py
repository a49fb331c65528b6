"""How a conversation begins, and how it ends when the server says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .fields import Count, Message, Name, Problem, Prompt, Real, Side, Text, Version
from .schema import Record


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """Client: who I am. The first message of every connection.

    Attributes:
        protocol: (major, minor) this client was written for.
        client: the program, for the server's log.
        version: its version.
        identity: who this is, the same on every connection, such as a UUID the program keeps. Turns and limits go by
            it; without one each connection counts as somebody else.
    """

    type: ClassVar[str] = "hello"
    protocol: Version
    client: Name
    version: Name
    identity: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """Prompts that go together."""

    foreground: Prompt
    background: Prompt


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Record):
    """One model the server can draw with, and its own defaults.

    Attributes:
        name: what `Submit.model` takes.
        title: for people.
        steps, guidance_scale, guidance_rescale, sampler: what a job gets that leaves them unset.
        samplers: what `Submit.sampler` takes.
        examples: prompts this model draws well; may be empty.
        notice: a limitation the artist should know, empty if there is none; `Accepted` has it for the job's size.
    """

    name: Name
    title: Name
    steps: Count
    guidance_scale: Real
    guidance_rescale: Real
    sampler: Name
    samplers: tuple[Name, ...]
    examples: tuple[Example, ...]
    notice: Text


@dataclass(frozen=True, kw_only=True)
class Limits(Record):
    """What this server takes.

    Attributes:
        frame_bytes: longest websocket message, both ways.
        chunk_bytes: most pixels in one chunk, both ways.
        layer_bytes: largest layer that can be uploaded.
        min_side, max_side: the canvas, in pixels.
        max_aspect: longer side of the canvas over the shorter.
        prompt_characters: of one prompt.
        foregrounds: of one job.
        steps: of one job.
        waiting_jobs: of one client.
    """

    frame_bytes: Count
    chunk_bytes: Count
    layer_bytes: Count
    min_side: Side
    max_side: Side
    max_aspect: Real
    prompt_characters: Count
    foregrounds: Count
    steps: Count
    waiting_jobs: Count


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """Server: the answer to `Hello`.

    Attributes:
        protocol: (major, minor) this server was written for.
        version: of the server.
        instance: another text after every start of the server. Jobs outlive it, uploads that no job names do not.
        models: the first is the one to offer.
        limits: what this server takes.
        codecs: how pixels may be packed.
    """

    type: ClassVar[str] = "welcome"
    protocol: Version
    version: Name
    instance: Name
    models: tuple[ModelInfo, ...]
    limits: Limits
    codecs: tuple[Name, ...]


@dataclass(frozen=True, kw_only=True)
class Refused(Problem):
    """Server: this connection ends here, and why. The websocket is closed next."""

    type: ClassVar[str] = "refused"
