"""The jobs whose layers are not in a document yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .jobs import PendingJob


class PendingJobs:
    """The jobs of this Krita, in the order in which they were requested, and those that an earlier Krita left."""

    def __init__(self) -> None:
        self._own: list[PendingJob] = []
        self._left: list[PendingJob] = []

    @property
    def shown(self) -> PendingJob | None:
        """The job whose progress is shown: the first of this Krita, else the first that was left; None if idle."""
        return next(iter(self), None)

    @property
    def own(self) -> tuple[PendingJob, ...]:
        """The jobs that were requested in this Krita."""
        return tuple(self._own)

    def __iter__(self) -> Iterator[PendingJob]:
        return iter([*self._own, *self._left])

    def __len__(self) -> int:
        return len(self._own) + len(self._left)

    def add(self, jobs: Iterable[PendingJob]) -> None:
        """Add jobs that were requested now."""
        self._own += jobs

    def add_left(self, jobs: Iterable[PendingJob]) -> None:
        """Add jobs that an earlier Krita requested."""
        self._left += jobs

    def before(self, job: PendingJob) -> PendingJob | None:
        """The job that comes before a waiting one and waits, too, so that the two can change places; else None."""
        if job not in self._own:
            return None
        index = self._own.index(job)
        other = self._own[index - 1] if index > 0 else None
        return other if other is not None and _waits(job) and _waits(other) else None

    def swap(self, job: PendingJob, other: PendingJob) -> None:
        """Let two jobs of this Krita change places."""
        first, second = self._own.index(job), self._own.index(other)
        self._own[first], self._own[second] = other, job

    def find(self, job_id: str | None) -> PendingJob | None:
        return next((job for job in self if job.id == job_id), None)

    def forget(self, job: PendingJob) -> None:
        """Remove a job, so that further messages about it are ignored."""
        self._own = [each for each in self._own if each is not job]
        self._left = [each for each in self._left if each is not job]


def _waits(job: PendingJob) -> bool:
    """Whether the server has a job and has not begun to draw it: each event of a job comes after its beginning."""
    return job.accepted and job.after == 0 and not job.returns and not job.arrived
