"""Makes jobs of what the artist wants, and sends them to the server."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from . import actions
from .choosing import Choosing
from .groups import VARIANT
from .history_entry import PLAIN, Entry
from .interfaces import Document, Documents, GenerationParams, View
from .job_store import JobStore
from .jobs import Choice, PendingJob, Placement, Refusal, Remedy
from .pending import PendingJobs
from .progress import ShownProgress
from .protocol.messages import Resume, Submission, Submit, Welcome
from .refusals import RefusalsShown
from .server_link import ServerLink
from .style_book import StyleBook
from .text import fitting_words, sentence, size_words
from .translation import tr


class Submissions:
    """Every way in which a job begins.

    Args:
        view: the docker.
        documents: Krita's open documents.
        link: the connection to the server.
        jobs: the pending jobs, to which new ones are added.
        job_store: where they are saved.
        choosing: which layers the artist has chosen.
        progress: shows how far they are.
        styles: the artist's styles.
        start_server: starts the server, as a remedy.

    Attributes:
        welcome: the greeting of the server; None while there is no connection.
    """

    def __init__(
        self,
        view: View,
        documents: Documents,
        link: ServerLink,
        jobs: PendingJobs,
        job_store: JobStore,
        choosing: Choosing,
        progress: ShownProgress,
        styles: StyleBook,
        start_server: Callable[[], None],
    ) -> None:
        self._view = view
        self._documents = documents
        self._link = link
        self._jobs = jobs
        self._job_store = job_store
        self._choosing = choosing
        self._progress = progress
        self._styles = styles
        self._start_server = start_server
        self.welcome: Welcome | None = None

    def act(
        self,
        button: Callable[[Document, GenerationParams, Choice, actions.Size], actions.Action],
        params: GenerationParams,
    ) -> None:
        """Submit the request of a button."""
        with RefusalsShown(self._view):
            welcome, document = self.server(), self.open_document()
            size = actions.size_to_draw(document.size, welcome.limits)
            notes = (document.about_colours(), size_words(size, document.size))
            action = button(document, params, self._choosing.of(document), size)
            plain = action.submit(size, params, welcome.models[0].name)
            submit = self._styles.applied(plain, params)
            actions.check_server(submit, welcome.protocol)
            submits = submit.jobs()
            jobs = [
                PendingJob(
                    submit=each,
                    placement=action.placement,
                    title=action.title,
                    record={
                        **action.record(params, each),
                        **({VARIANT: [submit.job, number]} if len(submits) > 1 else {}),
                        **({PLAIN: plain.to_map()} if submit != plain else {}),
                    },
                    artists=action.artists,
                    warning=" ".join(note for note in (*notes, *action.notes) if note),
                    press=submit.job,
                    series=None if each is submit else submit.job,
                )
                for number, each in enumerate(submits, 1)
            ]
            self._begin(jobs)
            self._link.submit(submit, jobs[0].pictures)
            document.save_settings(asdict(params))

    def put_back(self, entry: Entry, document: Document) -> None:
        """Add a picture whose group was deleted, with the pixels that the server has kept.

        Raises:
            Refusal: there is no server.
        """
        self.server()
        assert entry.submit is not None
        if self._jobs.find(entry.submit.job) is None:
            job = self._from_history(entry, entry.submit, document)
            job.accepted, job.returns = True, True
            self._begin([job])
            self._link.send(Resume(job=job.id, after=0))

    def take(self, found: Submission, title: str, placement: Placement | None) -> None:
        """Add a picture that another program or another document has begun, byte for byte as the server has it.

        Args:
            found: what it draws.
            title: the name of its group.
            placement: where it goes; None is a new document of its size.
        """
        submit = found.submit
        if self._jobs.find(submit.job) is not None:
            return
        if placement is None:
            placement = self._documents.create(title, (submit.width, submit.height)).placement()
        canvas = placement.canvas or (submit.width, submit.height)
        job = PendingJob(
            submit=submit,
            placement=placement,
            title=title,
            record=actions.described(submit),
            artists=(),
            warning=fitting_words((submit.width, submit.height), canvas),
            returns=True,
            press=submit.job,
            accepted=True,
        )
        self._begin([job])
        self._link.send(Resume(job=job.id, after=0))

    def draw_again(self, entry: Entry, document: Document, changes: int | GenerationParams) -> None:
        """Draw a picture of the history again, with the layers that were kept then; the server still has them.

        Args:
            entry: the picture.
            document: where it goes.
            changes: another seed or the same, or the values of the docker's fields.

        Raises:
            Refusal: there is no server, or an older version of the plugin drew the picture.
        """
        welcome = self.server()
        if entry.submit is None:
            raise Refusal(
                tr("An older version of the plugin drew this picture."),
                tr("Use its prompts and seed, and press a button."),
            )
        if isinstance(changes, int):
            plain = submit = replace(entry.submit, job=str(uuid.uuid4()), seed=changes, variants=())
        else:
            plain = actions.again(entry.plain or entry.submit, changes)
            submit = self._styles.applied(plain, changes)
        actions.check_server(submit, welcome.protocol)
        job = self._from_history(entry, submit, document)
        if not isinstance(changes, int):
            prompts = {"foreground": plain.foregrounds[0].prompt, "background": plain.background.prompt}
            same = {"model": submit.model, "others": job.record.get("others", [])}  # further foregrounds stay
            job.title, job.record = plain.title, {**job.record, **asdict(changes), **prompts, **same}
            job.record |= {PLAIN: plain.to_map()} if submit != plain else {}
        self._begin([job])
        self._link.submit(submit, ())

    def open_document(self) -> Document:
        """The active document.

        Raises:
            Refusal: none is open.
        """
        document = self._documents.active()
        if document is None:
            new = Remedy(tr("New document…"), self._documents.new)
            raise Refusal(tr("No document is open."), tr("Open one, or create one of the size you want."), new)
        return document

    def note_warning(self, job: PendingJob) -> None:
        """Show what the artist must know about a job."""
        if job.warning:
            self._view.note(sentence(job.warning))

    def server(self) -> Welcome:
        """The greeting of the server.

        Raises:
            Refusal: there is none.
        """
        if self.welcome is None:
            raise Refusal(
                tr("No server is running."), tr("Press Start server."), Remedy(tr("Start server"), self._start_server)
            )
        return self.welcome

    def _from_history(self, entry: Entry, submit: Submit, document: Document) -> PendingJob:
        return PendingJob(
            submit=submit,
            placement=document.placement(),
            title=entry.title,
            record=_of_the_picture(entry.values, submit),
            artists=(),
            warning=fitting_words((submit.width, submit.height), document.size),
            press=submit.job,
        )

    def _begin(self, jobs: list[PendingJob]) -> None:
        self._jobs.add(jobs)
        for job in jobs:
            self._job_store.save(job)
        self.note_warning(jobs[0])
        self._progress.show(jobs[0], tr("Sending"))
        self._progress.refresh()  # if another picture is being drawn, there is one more to come


def _of_the_picture(values: dict[str, Any], submit: Submit) -> dict[str, Any]:
    """Of a group's record, what is true of another group with the same picture or another seed."""
    of_the_group = ("layers", "order", "made", "made_of", "title", "submit", VARIANT)
    return {**{name: value for name, value in values.items() if name not in of_the_group}, "seed": submit.seed}
