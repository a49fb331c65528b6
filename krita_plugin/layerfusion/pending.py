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

    def find(self, job_id: str | None) -> PendingJob | None:
        return next((job for job in self if job.id == job_id), None)

    def forget(self, job: PendingJob) -> None:
        """Remove a job, so that further messages about it are ignored."""
        self._own = [each for each in self._own if each is not job]
        self._left = [each for each in self._left if each is not job]
