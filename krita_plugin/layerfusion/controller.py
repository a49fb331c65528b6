"""The controller between the docker, the server and the document. Start reading the plugin here.

The docker calls the methods that are named after its buttons. The link and the launcher deliver their events to
`receive`. Everything that the artist sees is shown through `View`. No method blocks, and all run on the GUI thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from . import actions, launcher
from .images import Picture
from .interfaces import Document, Documents, GenerationParams, View
from .job_store import JobStore
from .jobs import ArrivedLayer, DocumentClosed, PendingJob, Refusal
from .protocol.errors import Interrupted, ServerStopping, UnknownJob
from .protocol.messages import (
    Accepted,
    Ack,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Notice,
    Preview,
    Progress,
    Queued,
    Resubmit,
    Resume,
    Started,
    Welcome,
)
from .refusals import RefusalsShown
from .server_link import Offline, Online, ServerLink
from .steps import Steps
from .text import duration, file_name, sentence, stage

NOTICES_SINCE = (1, 3)
"""The first version of the protocol that has `Notice`."""


class Controller:
    """Turns the artist's actions into jobs, and the server's messages into layers. One action at a time is under way.

    Args:
        view: the docker.
        documents: Krita's open documents.
        link: the connection to the server.
        post: takes a value on any thread and passes it to `receive` on the GUI thread.
        job_store: where jobs are saved until their layers are in a document.
        later: calls a function in the next turn of the event loop of the GUI thread.
    """

    def __init__(
        self,
        view: View,
        documents: Documents,
        link: ServerLink,
        post: Callable[[object], None],
        job_store: JobStore,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._view = view
        self._documents = documents
        self._link = link
        self._post = post
        self._job_store = job_store
        self._insertions = Steps(later)
        self._welcome: Welcome | None = None
        self._job: PendingJob | None = None  # the job whose progress is shown
        self._next: list[PendingJob] = []  # the other pictures of the same action
        self._left: dict[str, PendingJob] | None = None  # jobs of a Krita that has ended; None until they are loaded
        self._without_document: list[PendingJob] = []  # jobs with all their layers, whose document is not open
        self._starting = False

    # ---- intents -----------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start the server of the installation that this plugin belongs to. The link connects when it listens."""
        arguments = launcher.command()
        try:
            launcher.start(arguments, self._post)
        except OSError as error:
            self._view.warn(
                f"“{arguments[0]}” could not be started ({error.strerror}).",
                "Run “layerfusion plugin install” in the server's environment, or use the command above.",
            )
            return
        self._starting = True
        self._show_no_server()

    def generate(self, params: GenerationParams) -> None:
        """Draw a foreground and a background into the active document."""
        self._act(actions.generate, params)

    def new_background(self, params: GenerationParams) -> None:
        """Draw a new background behind an existing foreground, which is kept."""
        self._act(actions.new_background, params)

    def new_foreground(self, params: GenerationParams) -> None:
        """Draw a new foreground in front of an existing background, which is kept."""
        self._act(actions.new_foreground, params)

    def harmonise(self, params: GenerationParams) -> None:
        """Draw Shadow, Light and Blended for an existing foreground and background."""
        self._act(actions.harmonise, params)

    def relight(self, params: GenerationParams) -> None:
        """Draw over an existing foreground, so that its light fits an existing background."""
        self._act(actions.relight, params)

    def cancel(self) -> None:
        """Cancel the action that is under way. Messages about its jobs are ignored from now on."""
        jobs = [job for job in self._current() if not job.arrived]
        for job in jobs:
            self._link.send(Cancel(job=job.id))
            self._finish(job, 0)
        if jobs:
            self._view.say("Cancelled.")

    def export_psd(self, choose_path: Callable[[str], str]) -> None:
        """Write a group to a PSD file.

        Args:
            choose_path: asks the artist for the path, given a suggested file name; returns "" if it was cancelled.
        """
        with RefusalsShown(self._view):
            document = self._open_document()
            document.check_colours()
            name = document.name_to_export()
            chosen = choose_path(f"{file_name(name)}.psd")
            if not chosen:
                return
            path = Path(chosen)
            if path.suffix.lower() != ".psd":
                path = path.with_name(f"{path.name}.psd")
            document.export_psd(path)
            self._view.say(f"“{name}” was written to {path}")

    # ---- events ------------------------------------------------------------------------------------------------------

    def receive(self, event: object) -> None:
        """Handle one event of the link or the launcher. Messages about jobs that are not pending are ignored."""
        match event:
            case Online(welcome):
                self._online(welcome)
            case Offline():
                self._offline(event)
            case launcher.ServerExited():
                self._exited(event)
            case _:
                job = self._find(_job_of(event))
                if job is not None:
                    self._receive_about(job, event)

    def _receive_about(self, job: PendingJob, event: object) -> None:
        match event:
            case Accepted():
                job.accepted = True
                if event.notice and not self._tells_notices():
                    self._view.note(sentence(event.notice))
                self._show_place(job, event)
            case Notice():
                job.after = event.seq
                self._view.note(event.text)
            case Queued():
                self._show_place(job, event)
            case Started():
                job.after = event.seq
                self._show(job, "Starting", 0, 0)
            case Progress():
                self._show_progress(job, event)
            case Preview() if job is self._job:
                job.shows_whole = job.shows_whole or event.role == "blended"
                if event.role == "blended" or not job.shows_whole:
                    self._view.show_preview(Picture(0, 0, event.width, event.height, event.pixels))
            case ArrivedLayer():
                job.after = event.begin.seq
                job.layers[event.begin.index] = event
            case Done() if not job.arrived:
                job.after = event.seq
                self._put_into_document(job, event.layers)
            case Failed():
                self._failed(job, event)
            case Cancelled():
                self._finish(job, event.seq)
                self._view.say("Cancelled.")

    def _failed(self, job: PendingJob, event: Failed) -> None:
        if event.code == ServerStopping.code:  # the server did not accept it; it is sent again to the next server
            job.accepted = False
            self._show(job, "Waiting for the server", 0, 0)
        elif event.code == Interrupted.code and not job.again:
            self._draw_again(job)
        else:
            current = job in self._current()
            if not job.accepted:  # the submission was refused, with all the jobs in it
                for other in [each for each in self._next if each.series == job.id]:
                    self._forget(other)
                    self._job_store.forget(other.id)
            self._finish(job, event.seq)
            if current or event.code != UnknownJob.code:  # the server may have deleted a job of an earlier Krita
                self._view.warn(event.message, event.hint)

    def _draw_again(self, job: PendingJob) -> None:
        """Submit a job again under a new id, because the server stopped while it drew the picture."""
        old, current = job.id, job in self._current()
        self._forget(job)
        self._job_store.forget(old)
        job.submit = replace(job.submit, job=str(uuid.uuid4()), variants=())
        job.again, job.series, job.accepted, job.after, job.layers = True, None, False, 0, {}
        if self._job is None:
            self._job = job
        elif current:
            self._next.append(job)
        else:
            self._left = {**(self._left or {}), job.id: job}
        self._job_store.save(job)
        self._show(job, "The server stopped; the picture is drawn again", 0, 0)
        self._link.send(Resubmit(job=job.id, of=old))

    def _online(self, welcome: Welcome) -> None:
        self._welcome, self._starting = welcome, False
        self._view.show_server(welcome, "Ready")
        if self._left is None:
            self._left = {job.id: job for job in self._job_store.take_left()}
            for job in self._left.values():
                self._note_warning(job)
        for job in [*self._left.values(), *self._current()]:
            if job.accepted:
                self._link.send(Resume(job=job.id, after=job.after))
            elif job.series is None:
                self._link.submit(job.submit, job.pictures)

    def _offline(self, event: Offline) -> None:
        self._welcome = None
        self._show_no_server()
        if event.message and not self._starting:
            self._view.warn(event.message, event.hint)
        if self._job is not None:
            self._view.show_job("Waiting for the server", 0, 0)

    def _exited(self, event: launcher.ServerExited) -> None:
        if self._starting:
            self._starting = False
            self._show_no_server()
            self._view.warn(
                f"The server stopped while starting: {event.last_line or f'exit status {event.code}'}",
                "Start it in a terminal with the command above to see all its messages.",
            )

    def _show_no_server(self) -> None:
        words = "Starting the server…" if self._starting else "No server is running"
        self._view.show_server(None, words, startable=not self._starting)

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _ready(self) -> tuple[Welcome, Document]:
        """The server and the active document.

        Raises:
            Refusal: there is no server or no document, or an action is under way.
        """
        if self._welcome is None:
            raise Refusal("No server is running.", "Press Start server.")
        if self._job is not None:
            raise Refusal("The last picture is still being drawn.", "Wait for it, or press Cancel.")
        return self._welcome, self._open_document()

    def _open_document(self) -> Document:
        document = self._documents.active()
        if document is None:
            raise Refusal("No document is open.", "Open one, or create one of the size you want.")
        return document

    def _act(self, button: Callable[[Document, GenerationParams], actions.Action], params: GenerationParams) -> None:
        """Submit the request of a button."""
        with RefusalsShown(self._view):
            welcome, document = self._ready()
            warning = document.check_colours()
            action = button(document, params)
            if action.question and not self._view.ask(action.question, "Draw it"):
                return
            submit = action.submit(document.size, params, welcome.models[0].name)
            actions.check_server(submit, welcome.protocol)
            self._job, *self._next = [
                PendingJob(
                    submit=each,
                    placement=action.placement,
                    title=action.title,
                    record=action.record(params, each),
                    pictures=action.pictures,
                    warning=warning,
                    series=None if each is submit else submit.job,
                )
                for each in submit.jobs()
            ]
            for job in (self._job, *self._next):
                self._job_store.save(job)
            self._note_warning(self._job)
            self._view.show_job("Sending", 0, 0)
            self._link.submit(submit, action.pictures)

    def _tells_notices(self) -> bool:
        """Whether the server sends `Notice` messages. Older servers have one notice, in `Accepted`."""
        return self._welcome is not None and self._welcome.protocol >= NOTICES_SINCE

    def _note_warning(self, job: PendingJob) -> None:
        if job.warning:
            self._view.note(sentence(job.warning))

    def _find(self, job_id: str | None) -> PendingJob | None:
        ours = {job.id: job for job in self._current()}
        return {**(self._left or {}), **ours}.get(job_id or "")

    def _current(self) -> list[PendingJob]:
        """The jobs of the action that is under way, starting with the one that is shown."""
        return [*([self._job] if self._job else []), *self._next]

    def _forget(self, job: PendingJob) -> None:
        """Remove a job from the pending ones, so that further messages about it are ignored."""
        if job is self._job:
            self._job = self._next.pop(0) if self._next else None
        elif job in self._next:
            self._next.remove(job)
        elif self._left:
            self._left.pop(job.id, None)

    def _finish(self, job: PendingJob, seq: int) -> None:
        """Delete a job here and in the job store, and acknowledge its events up to `seq`, so that the server may delete
        it too. With `seq` 0 nothing is acknowledged."""
        self._forget(job)
        self._job_store.forget(job.id)
        if seq:
            self._link.send(Ack(job=job.id, seq=seq))
        self._show_idle()

    def _put_into_document(self, job: PendingJob, announced: int) -> None:
        if len(job.layers) != announced or not job.kept_came_back():
            self._finish(job, job.after)
            self._view.warn("The server sent wrong layers, so the document was not changed.", "Generate again.")
            return
        document = self._documents.find(job.placement, (job.submit.width, job.submit.height))
        if document is None:
            self._miss_document(job)
        else:
            job.arrived = True
            self._show(job, "Adding the layers", 0, 0)
            self._insertions.run(self._insert(job, document))

    def _insert(self, job: PendingJob, document: Document) -> Generator[None]:
        """Add the layers of a job to a document, step by step. It stays pending until they are there."""
        with RefusalsShown(self._view):
            try:
                inserted = yield from document.insert(job.placement, job.title, job.stack(), job.record)
            except DocumentClosed:
                self._miss_document(job)
                return
            finally:
                self._forget(job)
                self._show_idle()
            for other in self._current():  # they were requested by the same press
                if inserted.active and other.placement.active == job.placement.active:
                    other.placement = replace(other.placement, active=inserted.active)
            self._view.say(f"Drawn into “{document.name}”.")
            self._finish(job, job.after)
            return
        self._finish(job, 0)  # not acknowledged: the server keeps the layers for a week at least

    def _miss_document(self, job: PendingJob) -> None:
        """Keep a finished job whose document is not open for the time when it is, or say where its layers are."""
        if job.placement.saved:
            self._forget(job)
            self._without_document.append(job)
            hint = "The layers are added when you open the file again."
        else:
            self._finish(job, 0)
            hint = "“layerfusion jobs export” writes them to a file; the server keeps them for a week at least."
        self._show_idle()
        self._view.warn(f"“{job.placement.title}” was closed before its layers arrived.", hint)

    def document_shown(self) -> None:
        """Insert layers that wait for a document which is now open. Called when a document is shown."""
        waiting, self._without_document = self._without_document, []
        for job in waiting:
            if self._documents.find(job.placement, (job.submit.width, job.submit.height)) is None:
                self._without_document.append(job)
            else:
                self._put_into_document(job, len(job.layers))

    def _show(self, job: PendingJob, words: str, step: int, total: int) -> None:
        if job is self._job:
            more = f" · {len(self._next)} more" if self._next else ""
            self._view.show_job(words + more, step, total)

    def _show_idle(self) -> None:
        if self._job is None:
            self._view.show_idle()

    def _show_place(self, job: PendingJob, place: Accepted | Queued) -> None:
        ahead = f"{place.position} other {'job' if place.position == 1 else 'jobs'}"
        words = f"Waiting for {ahead}" if place.position else "Next in the queue"
        if place.starts_in is not None and place.starts_in >= 1:
            words += f" · starts in about {duration(place.starts_in)}"
        self._show(job, words, 0, 0)

    def _show_progress(self, job: PendingJob, progress: Progress) -> None:
        words = f"{stage(progress.stage, progress.text)} {progress.step} of {progress.total}"
        if progress.eta is not None and progress.eta >= 1:
            words += f" · {duration(progress.eta)} left"
        self._show(job, words, progress.step, progress.total)


def _job_of(event: object) -> str | None:
    return event.begin.job if isinstance(event, ArrivedLayer) else getattr(event, "job", None)
