"""Shows how far the pending jobs are: the first of them in full, and the others as a list."""

from __future__ import annotations

from .images import Picture
from .interfaces import View, Waiting
from .jobs import PendingJob
from .pending import PendingJobs
from .protocol.messages import Preview
from .translation import tr


class ShownProgress:
    """What the docker shows of the pending jobs.

    Args:
        view: the docker.
        jobs: the pending jobs.

    Attributes:
        can_move: whether the server can change the order of jobs.
    """

    def __init__(self, view: View, jobs: PendingJobs) -> None:
        self._view = view
        self._jobs = jobs
        self._words: dict[str, tuple[str, int, int]] = {}  # by job
        self._previews: dict[str, Picture] = {}
        self.can_move = False
        self._elsewhere: tuple[Waiting, ...] = ()

    def show(self, job: PendingJob, words: str, step: int = 0, total: int = 0) -> None:
        """What a job is doing. `total` is 0 if the number of steps is unknown."""
        self._words[job.id] = words, step, total
        self.refresh()

    def show_first(self, words: str) -> None:
        """What the first job is doing, if there is one."""
        if self._jobs.shown is not None:
            self.show(self._jobs.shown, words)

    def preview(self, job: PendingJob, preview: Preview) -> None:
        """A small picture of a job; those of single layers count only until there is one of the whole picture."""
        job.shows_whole = job.shows_whole or preview.role == "blended"
        if preview.role != "blended" and job.shows_whole:
            return
        self._previews[job.id] = Picture(0, 0, preview.width, preview.height, preview.pixels)
        if job is self._jobs.shown:
            self._view.show_preview(self._previews[job.id])
        else:
            self._show_queue()

    def show_elsewhere(self, waiting: tuple[Waiting, ...]) -> None:
        """Show the jobs that other programs have begun after those of this Krita."""
        if waiting != self._elsewhere:
            self._elsewhere = waiting
            self._show_queue()

    def refresh(self) -> None:
        """A job was added, removed or moved."""
        pending = {job.id for job in self._jobs}
        self._words = {job: words for job, words in self._words.items() if job in pending}
        self._previews = {job: picture for job, picture in self._previews.items() if job in pending}
        first = self._jobs.shown
        if first is None:
            self._view.show_idle()
        else:
            words, step, total = self._words.get(first.id, (tr("Waiting for the server"), 0, 0))
            more = " · " + tr("{number} more", number=len(self._jobs) - 1) if len(self._jobs) > 1 else ""
            self._view.show_job(words + more, step, total)
        self._show_queue()

    def _show_queue(self) -> None:
        _, *others = [*self._jobs] or [None]
        own = tuple(self._waiting(job) for job in others if job is not None)
        self._view.show_queue((*own, *self._elsewhere))

    def _waiting(self, job: PendingJob) -> Waiting:
        kept = job.artists[0].picture if job.artists else None
        return Waiting(
            job=job.id,
            title=job.title,
            document=job.placement.title,
            words=self._words.get(job.id, (tr("Waiting"), 0, 0))[0],
            picture=self._previews.get(job.id, kept),
            movable=self.can_move and self._jobs.before(job) is not None,
        )
