"""The messages at the start of a session, and the one with which the server ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .fields import Count, Message, Name, Problem, Prompt, Real, Sentence, Side, Text, Version
from .schema import Length, Record, since


@dataclass(frozen=True, kw_only=True)
class Hello(Message):
    """Client: the first message of every connection, with the client's name and version.

    Attributes:
        protocol: the (major, minor) version for which the client was written.
        client: name of the program, for the server's log.
        version: version of the program.
        identity: a text that is the same on all connections of this client, for example a UUID. The queue and its
            limits treat connections with the same identity as one client; without it, each connection is a new client.
    """

    type: ClassVar[str] = "hello"
    protocol: Version
    client: Name
    version: Name
    identity: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """Example prompts for one picture."""

    foreground: Prompt
    background: Prompt


@dataclass(frozen=True, kw_only=True)
class Phrases(Record):
    """Phrases of one kind that a model knows.

    Attributes:
        kind: what they name, for people, such as “objects”.
        phrases: the phrases, as they stand in prompts.
    """

    kind: Name
    phrases: tuple[Name, ...]


@dataclass(frozen=True, kw_only=True)
class PresetSteps(Record):
    """In how many steps a model draws with a preset, if a job does not say it."""

    preset: Name
    steps: Count


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Record):
    """A model of the server, and its defaults.

    Attributes:
        name: the value for `Submit.model`.
        title: the name to show to people.
        steps, guidance_scale, guidance_rescale, sampler: the defaults for jobs that leave them unset.
        samplers: the values that `Submit.sampler` may have.
        examples: prompts that this model draws well; may be empty.
        notice: a limitation that the artist should know; empty if there is none. `Accepted` has it for the job's size.
        vocabulary: the phrases that the model knows, by kind; empty if it knows words in general.
        notice_sentences: the sentences of `notice`; empty from a server before 1.6.
        preset_steps: the default of `steps` with each preset; of a model with an adapter for few steps, they differ.
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
    vocabulary: tuple[Phrases, ...] = since(5, ())
    notice_sentences: tuple[Sentence, ...] = since(6, ())
    preset_steps: tuple[PresetSteps, ...] = since(6, ())


@dataclass(frozen=True, kw_only=True)
class Limits(Record):
    """The server's limits.

    Attributes:
        frame_bytes: longest websocket message in either direction, in bytes.
        chunk_bytes: most data in one chunk in either direction, in bytes.
        layer_bytes: largest layer that can be uploaded, in bytes.
        min_side, max_side: shortest and longest side of the canvas, in pixels.
        max_aspect: largest ratio of the longer to the shorter side of the canvas.
        prompt_characters: longest prompt.
        foregrounds: most foregrounds of a job.
        steps: most steps of a job.
        waiting_jobs: most waiting jobs of a client.
        file_bytes: largest file that can be uploaded to be read, in bytes; 0 if this server reads none.
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
    file_bytes: Count = since(5, 0)


@dataclass(frozen=True, kw_only=True)
class Welcome(Message):
    """Server: the answer to `Hello`.

    Attributes:
        protocol: the (major, minor) version of the server.
        version: version of the server program.
        instance: a text that is different after each start of the server. Jobs outlive a restart; uploads that no job
            refers to may not.
        models: the models; the first is the default to offer.
        limits: the server's limits.
        codecs: the supported encodings of pixels.
        problem: why the server cannot draw now, for people; empty if it can.
        user: name of the user who is connected; empty for the owner of the server.
    """

    type: ClassVar[str] = "welcome"
    protocol: Version
    version: Name
    instance: Name
    models: tuple[ModelInfo, ...]
    limits: Limits
    codecs: tuple[Name, ...]
    problem: Annotated[str, Length(0, 4000)] = since(4, "")
    user: Annotated[str, Length(0, 255)] = since(4, "")


@dataclass(frozen=True, kw_only=True)
class Refused(Problem):
    """Server: the reason why it ends the connection. It then closes the websocket."""

    type: ClassVar[str] = "refused"
