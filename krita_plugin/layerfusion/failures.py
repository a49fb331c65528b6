"""What happens when a job fails: it waits, is drawn again, or the artist is told why and what can be done."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from .interfaces import View
from .job_store import JobStore
from .jobs import PendingJob, Remedy
from .pending import PendingJobs
from .progress import ShownProgress
from .protocol.errors import Interrupted, Quarantined, ServerStopping, UnknownJob
from .protocol.messages import Failed, Message, Resubmit
from .server_words import told
from .translation import tr


class Failures:
    """Handles the failures of the pending jobs.

    Args:
        view: the docker.
        jobs: the pending jobs.
        job_store: where they are saved.
        progress: shows how far they are.
        send: sends a message to the server.
        finish: deletes a job, and acknowledges its events up to a number.
    """

    def __init__(
        self,
        view: View,
        jobs: PendingJobs,
        job_store: JobStore,
        progress: ShownProgress,
        send: Callable[[Message], None],
        finish: Callable[[PendingJob, int], None],
    ) -> None:
        self._view = view
        self._jobs = jobs
        self._job_store = job_store
        self._progress = progress
        self._send = send
        self._finish = finish

    def receive(self, job: PendingJob, failure: Failed) -> None:
        """Handle the last event of a job, or the answer to its submission."""
        if failure.code == ServerStopping.code:  # the server did not accept it; it is sent again to the next server
            job.accepted = False
            self._progress.show(job, tr("Waiting for the server"))
        elif failure.code == Interrupted.code and not job.again:
            self._draw_again(job)
        elif job.returns and failure.code == UnknownJob.code:
            self._finish(job, 0)
            self._view.warn(
                tr("The server no longer has “{title}”.", title=job.title),
                tr("Use its prompts and seed to draw it again."),
            )
        else:
            own = job in self._jobs.own
            if not job.accepted:  # the submission was refused, with all the jobs in it
                for other in [each for each in self._jobs if each.series == job.id]:
                    self._jobs.forget(other)
                    self._job_store.forget(other.id)
            again = self._again(job, failure)
            self._finish(job, 0 if again else failure.seq)
            if own or failure.code != UnknownJob.code:  # the server may have deleted a job of an earlier Krita
                self._view.warn(*told(failure), again)

    def _again(self, job: PendingJob, failure: Failed) -> Remedy | None:
        """The offer to draw a failed job again, unless it would fail again."""
        if not job.accepted or failure.code in (UnknownJob.code, Quarantined.code):
            return None

        def draw() -> None:
            self._view.clear()
            self._jobs.add([job])
            self._draw_again(job)

        return Remedy(tr("Draw it again"), draw)

    def _draw_again(self, job: PendingJob) -> None:
        """Submit a pending job again under a new id: the server stopped while it drew it, or it failed."""
        old = job.id
        self._job_store.forget(old)
        job.submit = replace(job.submit, job=str(uuid.uuid4()), variants=())
        job.again, job.series, job.accepted, job.after, job.layers = True, None, False, 0, {}
        self._job_store.save(job)
        self._progress.show(job, tr("The picture is drawn again"))
        self._send(Resubmit(job=job.id, of=old))
