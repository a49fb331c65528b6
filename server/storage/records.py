"""The rows of the database as values, and what an event changes in a job's row."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Any

import msgpack

from layerfusion.server.protocol.errors import Interrupted, InvalidMessage
from layerfusion.server.protocol.messages import (
    Cancelled,
    Done,
    Event,
    Failed,
    LayerBegin,
    Masks,
    Notice,
    Started,
    State,
    Submit,
)
from layerfusion.server.protocol.wire import Wire

logger = logging.getLogger(__name__)

COLUMNS = (
    "id",
    "client",
    "submit",
    "state",
    "submitted",
    "started",
    "ended",
    "last",
    "layers",
    "acknowledged",
    "fetched",
)
"""The columns of a `JobRecord`."""

OUTLINE_COLUMNS = (
    "id",
    "client",
    "state",
    "title",
    "width",
    "height",
    "layers",
    "submitted",
    "ended",
    "fetched",
    "ended_in_service",
    "name",
    "submission",
)
"""The columns of a `JobOutline`."""

_NO_WORK = ("job", "seed", "priority", "replaces", "variants", "masks", "passing")
"""Fields of `Submit` that do not change the work of drawing it."""

wire = Wire(msgpack.packb, msgpack.unpackb)
"""Encodes and decodes the messages in the database."""


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """One job as it is on disk.

    Attributes:
        id: the job's id, chosen by its client.
        client: the client that submitted it.
        submit: its `Submit` message.
        state: its state.
        submitted, started, ended: times in seconds since 1970; None if it has not happened.
        last: number of its last event so far.
        layers: number of finished layers.
        acknowledged: number of the last event that its client has acknowledged.
        fetched: time at which the client had acknowledged the last event; None if it has not.
    """

    id: str
    client: str
    submit: Submit
    state: State
    submitted: float
    started: float | None
    ended: float | None
    last: int
    layers: int
    acknowledged: int
    fetched: float | None


@dataclass(frozen=True)
class JobOutline:
    """One job as in lists, without its request, so that lists of many thousand jobs are quick.

    Attributes:
        id, client, state, layers, submitted, ended, fetched: see `JobRecord`.
        title: its prompts, shortened.
        width, height: the size of its canvas, in pixels.
        ended_in_service: seconds in service at its end (see `service_clock`); 0 if it is not over.
        name: the name that the user has given it; empty if there is none.
        submission: id of the job of its `Submit` message, whose variant it may be; empty before version 3 of the list.
    """

    id: str
    client: str
    state: State
    title: str
    width: int
    height: int
    layers: int
    submitted: float
    ended: float | None
    fetched: float | None
    ended_in_service: float
    name: str
    submission: str


def record(row: tuple[Any, ...]) -> JobRecord | None:
    """The record of a row; None if this version does not accept its request."""
    values = dict(zip(COLUMNS, row, strict=True))
    packed = values.pop("submit")
    if (error := problem(packed)) is not None:
        logger.warning("ignored the job %s: %s", values["id"], error.code)  # the message may quote a prompt
        return None
    submit = wire.decode(packed)
    assert isinstance(submit, Submit)
    return JobRecord(submit=submit, **values)


def problem(packed: bytes) -> InvalidMessage | None:
    """The reason why this version does not accept a request that another version wrote; None if it does."""
    try:
        wire.decode(packed)
    except InvalidMessage as error:
        return error
    return None


def consequence(event: Event, now: float) -> tuple[State | None, float | None, float | None]:
    """The state to which an event leads, and the times of the job's start and end if the event is one of these."""
    match event:
        case Started():
            return "running", now, None
        case Done():
            return "finished", None, now
        case Failed():
            return ("interrupted" if event.code == Interrupted.code else "failed"), None, now
        case Cancelled():
            return "cancelled", None, now
        case LayerBegin() | Notice() | Masks():
            return None, None, None


def interruption(job: str, seq: int) -> Failed:
    """The last event of a job during which the server stopped."""
    error = Interrupted(
        "The server stopped while it was drawing this picture.",
        "Draw it again; the layers that were finished are still there.",
    )
    return Failed.of(error, job=job, seq=seq)


def request_digest(submit: Submit) -> str:
    """A digest of the work that a request needs; it does not depend on ids and seeds."""
    plain = {name: value for name, value in submit.to_map().items() if name not in _NO_WORK}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
