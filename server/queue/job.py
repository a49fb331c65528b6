"""The state of one job in the server's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from layerfusion.server.protocol.messages import Event, Message, Submit, is_last
from layerfusion.server.storage.database import Database

Listener = Callable[[Message], None]


@dataclass(eq=False)
class Job:
    """One submitted job.

    Attributes:
        submit: its `Submit` message.
        client: the client that submitted it.
        events: its events, numbered from 1; the last is `Done`, `Failed` or `Cancelled` once the job is over.
        listeners: functions that get its messages.
        cancelled: whether a client has asked to stop it.
        forgotten: whether it is deleted as soon as it is over; see `Submit.passing`.
        started: time of its start, on the monotonic clock.
        remaining: seconds left according to the worker's last report, and the time of that report.
    """

    submit: Submit
    client: str
    events: list[Event] = field(default_factory=list)
    listeners: set[Listener] = field(default_factory=set)
    cancelled: bool = False
    forgotten: bool = False
    started: float = 0.0
    remaining: tuple[float, float] | None = None

    @property
    def id(self) -> str:
        return self.submit.job

    @property
    def over(self) -> bool:
        return bool(self.events) and is_last(self.events[-1])

    def tell(self, message: Message) -> None:
        for listener in self.listeners:
            listener(message)


def load(database: Database, job_id: str) -> Job | None:
    """Read a job from the database; None if it is not there."""
    record = database.find(job_id)
    return None if record is None else Job(record.submit, record.client, database.events(job_id))
