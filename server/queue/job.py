"""One job while the server has it in hand."""

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
        submit: as it came.
        client: whose turn it takes.
        events: numbered from 1; the last is `Done`, `Failed` or `Cancelled` once the job is over.
        listeners: who follows it.
        cancelled: somebody wants it stopped.
        started: when it was, by the scheduler's clock.
        remaining: seconds left when the worker last said so, and when that was.
    """

    submit: Submit
    client: str
    events: list[Event] = field(default_factory=list)
    listeners: set[Listener] = field(default_factory=set)
    cancelled: bool = False
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
    """A job as it is on disk; None if it is not there."""
    record = database.find(job_id)
    return None if record is None else Job(record.submit, record.client, database.events(job_id))
