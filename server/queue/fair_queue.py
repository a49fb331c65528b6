"""A fair queue: clients take turns, and interactive jobs come before batch jobs.

The next job is the oldest waiting job of the client whose last turn is longest ago. The queue is a pure data structure
without disk, clock or tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import Generic, Protocol, TypeVar, get_args

from layerfusion.server.protocol.messages import Priority, Submit


class Waiting(Protocol):
    """What the queue needs to know of a job."""

    @property
    def client(self) -> str: ...
    @property
    def submit(self) -> Submit: ...


J = TypeVar("J", bound=Waiting)


class FairQueue(Generic[J]):
    """Jobs that wait to be drawn."""

    def __init__(self) -> None:
        # Priority -> client -> its jobs. The first client's turn is next.
        self._turns: dict[Priority, dict[str, deque[J]]] = {priority: {} for priority in get_args(Priority)}

    def __len__(self) -> int:
        return sum(len(queue) for queues in self._turns.values() for queue in queues.values())

    def __iter__(self) -> Iterator[J]:
        """The jobs in the order in which they will be drawn: the first of each client, then the second of each, and so
        on; batch jobs come after all others."""
        for queues in self._turns.values():
            for turn in zip_longest(*queues.values()):
                yield from (job for job in turn if job is not None)

    def of(self, client: str) -> list[J]:
        """One client's jobs in the order in which they will be drawn."""
        return [job for queues in self._turns.values() for job in queues.get(client, ())]

    def add(self, job: J) -> None:
        """Add a job after its client's other jobs of the same priority."""
        self._turns[job.submit.priority].setdefault(job.client, deque()).append(job)

    def remove(self, job: J) -> bool:
        """Remove any waiting job; False if it does not wait."""
        queues = self._turns[job.submit.priority]
        queue = queues.get(job.client)
        if queue is None or job not in queue:
            return False
        queue.remove(job)
        if not queue:
            del queues[job.client]
        return True

    def move(self, job: J, before: J | None) -> bool:
        """Let a waiting job be drawn before another of the same client and priority, or after all of them.

        Returns:
            False if nothing changed, because one of them does not wait or they have nothing to do with each other.
        """
        queue = self._turns[job.submit.priority].get(job.client)
        if queue is None or job not in queue or before is job or (before is not None and before not in queue):
            return False
        queue.remove(job)
        queue.insert(len(queue) if before is None else queue.index(before), job)
        return True

    def turn(self) -> list[J]:
        """The next job of each client, in the order of their turns; batch jobs only where no other job waits."""
        for queues in self._turns.values():
            if queues:
                return [queue[0] for queue in queues.values()]
        return []

    def take(self, job: J | None = None) -> J | None:
        """Remove and return a job, the next one unless `job` is given; its client then comes after all others. None if
        it does not wait."""
        if job is None:
            job = next(iter(self), None)
        if job is None or not self.remove(job):
            return None
        queues = self._turns[job.submit.priority]
        if job.client in queues:
            queues[job.client] = queues.pop(job.client)
        return job
