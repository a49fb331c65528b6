"""Takes the layers of finished jobs to their documents. No picture is forgotten: it waits for a closed document."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

from .interfaces import Document, Documents, View
from .jobs import DocumentClosed, PendingJob, Remedy
from .pending import PendingJobs
from .progress import ShownProgress
from .refusals import RefusalsShown
from .steps import Steps
from .translation import tr


class Delivery:
    """Adds layers to documents, one job after the other, in short steps.

    Args:
        view: the docker.
        documents: Krita's open documents.
        jobs: the pending jobs; one stays pending until its layers are in the document.
        progress: shows how far they are.
        insertions: runs the steps.
        finish: deletes a job, and acknowledges its events up to a number, so that the server may delete it; with 0
            nothing is acknowledged, and the server keeps the layers for a week at least.
        added: called with the document after a result was added to it.
    """

    def __init__(
        self,
        view: View,
        documents: Documents,
        jobs: PendingJobs,
        progress: ShownProgress,
        insertions: Steps,
        finish: Callable[[PendingJob, int], None],
        added: Callable[[Document], None],
    ) -> None:
        self._view = view
        self._documents = documents
        self._jobs = jobs
        self._progress = progress
        self._insertions = insertions
        self._finish = finish
        self._added = added
        self._without_document: list[PendingJob] = []  # jobs with all their layers, whose document is not open

    def deliver(self, job: PendingJob, announced: int) -> None:
        """Add the layers of a finished job to its document.

        Args:
            job: the job.
            announced: the number of layers that the server has sent.
        """
        if len(job.layers) != announced or not job.kept_came_back():
            self._finish(job, job.after)
            self._view.warn(tr("The server sent wrong layers, so the document was not changed."), tr("Generate again."))
            return
        document = self._documents.find(job.placement)
        if document is None:
            self._miss_document(job)
        else:
            self._begin(job, document)

    def document_shown(self) -> None:
        """Add the layers that wait for a document which is now open."""
        waiting, self._without_document = self._without_document, []
        for job in waiting:
            document = self._documents.find(job.placement)
            if document is None:
                self._without_document.append(job)
            else:
                self._begin(job, document)

    def _begin(self, job: PendingJob, document: Document) -> None:
        job.arrived = True
        self._progress.show(job, tr("Adding the layers"))
        self._insertions.run(self._insert(job, document))

    def _insert(self, job: PendingJob, document: Document) -> Generator[None]:
        """Add the layers of a job to a document, step by step. It stays pending until they are there."""
        waiting = tr("Waiting until your stroke or dialog is finished")
        with RefusalsShown(self._view):
            try:
                inserted = yield from document.insert(job, lambda: self._progress.show(job, waiting))
            except DocumentClosed:
                self._miss_document(job)
                return
            finally:
                self._forget(job)
            for other in self._jobs:
                if inserted.active and other.press == job.press and other.placement.active == job.placement.active:
                    other.placement = replace(other.placement, active=inserted.active)
            remarks = " ".join(words for words in (inserted.scaled, inserted.unseen) if words)
            tell = self._view.warn if remarks else self._view.say
            words = tr("Added to “{document}”.", document=document.name)
            if not job.returns:
                words = tr("Drawn into “{document}”.", document=document.name)
            tell(words, remarks, inserted.remedy)
            # a picture of another program is acknowledged by that one, as far as it has it in a file
            self._finish(job, 0 if job.returns else job.after)
            self._added(document)
            return
        self._finish(job, 0)

    def _miss_document(self, job: PendingJob) -> None:
        """Keep a finished job whose document is not open for the time when it is, or offer a new document."""
        self._forget(job)
        remedy = None
        if job.placement.saved:
            self._without_document.append(job)
            hint = tr("The layers are added when you open the file again.")
        else:
            self._finish(job, 0)
            hint = tr("Open them as a new document; the server keeps them for a week at least.")
            remedy = Remedy(tr("Open as a document"), lambda: self._open_anew(job))
        self._view.warn(
            tr("“{document}” was closed before its layers arrived.", document=job.placement.title), hint, remedy
        )

    def _open_anew(self, job: PendingJob) -> None:
        """Add the layers of a finished job to a new document, because the one for which they were drawn was closed."""
        self._view.clear()
        self._jobs.add([job])
        self._begin(job, self._documents.create(job.placement.title, job.placement.canvas or job.size))

    def _forget(self, job: PendingJob) -> None:
        self._jobs.forget(job)
        self._progress.refresh()
