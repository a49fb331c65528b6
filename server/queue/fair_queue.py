"""Who is next: clients take turns, interactive jobs go before batch ones.

Of everybody's oldest waiting job, that of the client which has waited longest for its turn. Pure bookkeeping: no disk,
no clock, no tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, Protocol, TypeVar, get_args

from layerfusion.server.protocol.messages import Priority, Submit


class Waiting(Protocol):
    """A job, as far as waiting goes."""

    @property
    def client(self) -> str: ...
    @property
    def submit(self) -> Submit: ...


J = TypeVar("J", bound=Waiting)


class FairQueue(Generic[J]):
    """Jobs that wait to be drawn."""

    def __init__(self) -> None:
        # By priority, then by client; the first client's turn is next.
        self._turns: dict[Priority, dict[str, deque[J]]] = {priority: {} for priority in get_args(Priority)}

    def __len__(self) -> int:
        return sum(len(queue) for queues in self._turns.values() for queue in queues.values())

    def __iter__(self) -> Iterator[J]:
        """Next first: one of each client, then the second of each, …; batch jobs after all others."""
        for queues in self._turns.values():
            for turn in zip_longest(*queues.values()):
                yield from (job for job in turn if job is not None)

    def of(self, client: str) -> list[J]:
        """One client's jobs, next first."""
        return [job for queues in self._turns.values() for job in queues.get(client, ())]

    def add(self, job: J) -> None:
        """Put a job behind its client's others."""
        self._turns[job.submit.priority].setdefault(job.client, deque()).append(job)

    def remove(self, job: J) -> bool:
        """Take a job out, whose turn it need not be; False if it does not wait."""
        queues = self._turns[job.submit.priority]
        queue = queues.get(job.client)
        if queue is None or job not in queue:
            return False
        queue.remove(job)
        if not queue:
            del queues[job.client]
        return True

    def take(self) -> J | None:
        """Take out the next job; its client's turn comes again after everybody else's."""
        job = next(iter(self), None)
        if job is not None:
            self.remove(job)
            queues = self._turns[job.submit.priority]
            if job.client in queues:
                queues[job.client] = queues.pop(job.client)
        return job
