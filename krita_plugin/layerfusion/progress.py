"""Shows how far the pending jobs are: the first of them in full, and the number of the others."""

from __future__ import annotations

from .images import Picture
from .interfaces import View
from .jobs import PendingJob
from .pending import PendingJobs
from .protocol.messages import Preview


class ShownProgress:
    """What the docker shows of the pending jobs.

    Args:
        view: the docker.
        jobs: the pending jobs.
    """

    def __init__(self, view: View, jobs: PendingJobs) -> None:
        self._view = view
        self._jobs = jobs
        self._progress = "", 0, 0

    def show(self, job: PendingJob, words: str, step: int = 0, total: int = 0) -> None:
        """What a job is doing; shown if it is the first. `total` is 0 if the number of steps is unknown."""
        if job is self._jobs.shown:
            self._progress = words, step, total
            self.refresh()

    def show_first(self, words: str) -> None:
        """What the first job is doing, if there is one."""
        if self._jobs.shown is not None:
            self.show(self._jobs.shown, words)

    def preview(self, job: PendingJob, preview: Preview) -> None:
        """A small picture of the first job; those of single layers only until there is one of the whole picture."""
        if job is not self._jobs.shown:
            return
        job.shows_whole = job.shows_whole or preview.role == "blended"
        if preview.role == "blended" or not job.shows_whole:
            self._view.show_preview(Picture(0, 0, preview.width, preview.height, preview.pixels))

    def refresh(self) -> None:
        """The number of jobs has changed."""
        if self._jobs.shown is None:
            self._view.show_idle()
            return
        words, step, total = self._progress
        more = f" · {len(self._jobs) - 1} more" if len(self._jobs) > 1 else ""
        self._view.show_job(words + more, step, total)
