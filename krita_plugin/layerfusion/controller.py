"""The controller between the docker, the server and the document. Start reading the plugin here.

The docker calls the methods that are named after its buttons. The link and the launcher deliver their events to
`receive`. Everything that the artist sees is shown through `View`. No method blocks, and all run on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from . import actions, launcher
from .choosing import Choosing
from .delivery import Delivery
from .elsewhere import Elsewhere
from .failures import Failures
from .history import History
from .interfaces import Document, Documents, GenerationParams, View
from .job_store import JobStore
from .jobs import ArrivedLayer, PendingJob, Refusal, Remedy
from .live import Live
from .notice_words import noticed
from .pending import PendingJobs
from .progress import ShownProgress
from .protocol.messages import (
    Accepted,
    Ack,
    Cancel,
    Cancelled,
    Done,
    Failed,
    FetchFailed,
    JobList,
    Move,
    Notice,
    Preview,
    Progress,
    Queued,
    Resume,
    Started,
    StyleFailed,
    Styles,
    Submission,
    Thumbnail,
    Welcome,
)
from .refusals import RefusalsShown
from .server_link import Offline, Online, ServerLink
from .steps import Steps
from .stored_pictures import StoredPictures
from .style_book import StyleBook
from .submitting import Submissions
from .text import file_name, progress_words, sentence, waiting_words
from .thumbnails import Thumbnails
from .translation import tr
from .typed import Typed
from .variants import Variants

NOTICES_SINCE = (1, 3)
"""The first version of the protocol that has `Notice`."""

MOVES_SINCE = (1, 4)
"""The first version of the protocol that has `Move`."""


class Controller:
    """Turns the artist's actions into jobs, and the server's messages into layers.

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
        self._jobs = PendingJobs()
        self._progress = ShownProgress(view, self._jobs)
        self.choosing = Choosing(view, documents)
        self._steps = Steps(later)
        self._delivery = Delivery(view, documents, self._jobs, self._progress, self._steps, self._finish, self._added)
        self.styles = StyleBook(view, link.send)
        self._submissions = Submissions(
            view, documents, link, self._jobs, job_store, self.choosing, self._progress, self.styles, self.start_server
        )
        self._failures = Failures(view, self._jobs, job_store, self._progress, link.send, self._finish)
        self._thumbnails = Thumbnails(link.send)
        self.history = History(
            view, documents, link.send, self._thumbnails, self._submissions.put_back, self._submissions.draw_again
        )
        self.stored = StoredPictures(
            view,
            documents,
            link.send,
            self._thumbnails,
            self.history.show,
            self._submissions.take,
            self._submissions.server,
        )
        self.variants = Variants(view, documents)
        self.typed = Typed(view, documents, self._submissions.open_document)
        self.live = Live(view, documents, link, lambda: self._submissions.welcome)
        self._elsewhere = Elsewhere(
            link.send, self._is_own, self._progress.show_elsewhere, newest=lambda: self.stored.newest
        )
        self._starting = False

    # ---- intents -----------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start the server of the installation that this plugin belongs to. The link connects when it listens."""
        arguments = launcher.command()
        try:
            launcher.start(arguments, self._post)
        except OSError as error:
            self._view.warn(
                tr("“{program}” could not be started ({reason}).", program=arguments[0], reason=error.strerror),
                tr("Run “layerfusion plugin install” in the server's environment, or use the command above."),
            )
            return
        self._starting = True
        self.show_server()

    def generate(self, params: GenerationParams) -> None:
        """Draw a foreground and a background into the active document."""
        self._submissions.act(actions.generate, params)

    def new_background(self, params: GenerationParams) -> None:
        """Draw a new background behind an existing foreground, which is kept."""
        self._submissions.act(actions.new_background, params)

    def new_foreground(self, params: GenerationParams) -> None:
        """Draw a new foreground in front of an existing background, which is kept."""
        self._submissions.act(actions.new_foreground, params)

    def harmonise(self, params: GenerationParams) -> None:
        """Draw Shadow, Light and Blended for an existing foreground and background."""
        self._submissions.act(actions.harmonise, params)

    def relight(self, params: GenerationParams) -> None:
        """Draw over an existing foreground, so that its light fits an existing background."""
        self._submissions.act(actions.relight, params)

    def cancel(self) -> None:
        """Cancel the pictures of the press whose progress is shown. Messages about them are ignored from now on."""
        shown = self._jobs.shown
        jobs = [job for job in self._jobs if shown and job.press == shown.press and not job.arrived]
        for job in jobs:
            self._link.send(Cancel(job=job.id))
            self._finish(job, 0)
        if jobs:
            self._view.say(tr("Cancelled."))
        self._progress.show_first(tr("Next in the queue"))

    def cancel_one(self, job_id: str) -> None:
        """Cancel one of the jobs that wait."""
        job = self._jobs.find(job_id)
        if job is None:
            self._elsewhere.cancel(job_id)
        elif not job.arrived:
            self._link.send(Cancel(job=job.id))
            self._finish(job, 0)

    def draw_earlier(self, job_id: str) -> None:
        """Let a waiting job be drawn before the one that comes before it."""
        job = self._jobs.find(job_id)
        other = None if job is None else self._jobs.before(job)
        if job is not None and other is not None:
            self._link.send(Move(job=job.id, before=other.id))
            self._jobs.swap(job, other)
            self._progress.refresh()

    def export_psd(self, choose_path: Callable[[Path], str]) -> None:
        """Write a group to a PSD file.

        Args:
            choose_path: asks the artist for the path, given a suggested one, and whether to replace a file that is
                there already; returns "" if it was cancelled.
        """
        with RefusalsShown(self._view):
            document = self._submissions.open_document()
            name = document.name_to_export()
            chosen = choose_path((document.folder or Path.home()) / f"{file_name(name)}.psd")
            if not chosen:
                return
            path = Path(chosen)
            if path.suffix.lower() != ".psd":  # the dialog has asked about the name without it
                path = path.with_name(f"{path.name}.psd")
                if path.exists():
                    raise Refusal(
                        tr("“{path}” is there already.", path=path),
                        tr("Choose another name, or choose that file itself."),
                    )
            self._view.say(tr("Writing “{name}”…", name=name))
            self._steps.run(self._export(document, path, name))

    def _export(self, document: Document, path: Path, name: str) -> Generator[None]:
        with RefusalsShown(self._view):
            notes = yield from document.export_psd(path)
            self._view.say(tr("“{name}” was written to {path}", name=name, path=path), " ".join(notes))

    # ---- events ------------------------------------------------------------------------------------------------------

    def receive(self, event: object) -> None:
        """Handle one event of the link or the launcher. Messages about jobs that are not pending are ignored."""
        if self.live.receive(event):
            return
        match event:
            case Online(welcome):
                self._online(welcome)
            case Offline():
                self._offline(event)
            case launcher.ServerExited():
                self._exited(event)
            case Thumbnail():
                self._thumbnails.receive(event)
                self.history.look()
                self.stored.show()
            case JobList():
                self._elsewhere.take(event)
                self.stored.receive(event)
            case Submission() | FetchFailed():
                self.stored.receive(event)
                self.history.look()
            case Styles() | StyleFailed():
                self.styles.receive(event)
            case _:
                job = self._jobs.find(_job_of(event))
                if job is not None:
                    self._receive_about(job, event)
                else:
                    self._elsewhere.receive(event)

    def _receive_about(self, job: PendingJob, event: object) -> None:
        match event:
            case Accepted():
                job.accepted = True
                if event.notice and not self._tells_notices():
                    self._view.note(sentence(event.notice))
                self._progress.show(job, waiting_words(event.position, event.starts_in))
            case Notice():
                job.after = event.seq
                self._view.note(noticed(event))
            case Queued():
                self._progress.show(job, waiting_words(event.position, event.starts_in))
            case Started():
                job.after = event.seq
                self._progress.show(job, tr("Starting"))
            case Progress():
                self._progress.show(job, progress_words(event), event.step, event.total)
            case Preview():
                self._progress.preview(job, event)
            case ArrivedLayer():
                job.after = event.begin.seq
                job.layers[event.begin.index] = event
            case Done() if not job.arrived:
                job.after = event.seq
                if event.record:
                    job.record["made_of"] = event.record
                self._delivery.deliver(job, event.layers)
            case Failed():
                self._failures.receive(job, event)
            case Cancelled():
                self._finish(job, event.seq)
                self._view.say(tr("Cancelled."))

    def take_left(self) -> None:
        """Show the jobs that an earlier Krita left, and add their layers when they arrive."""
        self._jobs.add_left(self._job_store.take_left())
        for job in self._jobs:
            self._submissions.note_warning(job)
        self._progress.show_first(tr("Waiting for the server"))

    def _online(self, welcome: Welcome) -> None:
        self._submissions.welcome, self._starting = welcome, False
        self._progress.can_move = welcome.protocol >= MOVES_SINCE
        self.show_server()
        self._progress.show_first(tr("Waiting for the server"))
        for job in self._jobs:
            if job.accepted:
                self._link.send(Resume(job=job.id, after=job.after))
            elif job.series is None:
                self._link.submit(job.submit, job.pictures)
        self._thumbnails.connected(welcome.protocol)
        self.history.look()
        self.stored.connected(welcome.protocol)
        self._elsewhere.connected(welcome.protocol)
        self.styles.connected(welcome.protocol)

    def _offline(self, event: Offline) -> None:
        self._submissions.welcome = None
        self._thumbnails.disconnected()
        self._elsewhere.disconnected()
        self.live.end()
        self.show_server()
        if event.message and not self._starting:
            self._view.warn(event.message, event.hint)
        self._progress.show_first(tr("Waiting for the server"))

    def _exited(self, event: launcher.ServerExited) -> None:
        if self._starting:
            self._starting = False
            self.show_server()
            self._view.warn(
                tr(
                    "The server stopped while starting: {reason}",
                    reason=event.last_line or tr("exit status {code}", code=event.code),
                ),
                tr("Start it in a terminal with the command above to see all its messages."),
                Remedy(tr("Start server"), self.start_server),
            )

    def show_server(self) -> None:
        """Show the state of the server, in the artist's language."""
        welcome = self._submissions.welcome
        if welcome is not None:
            self._view.show_server(welcome, tr("Ready"))
            return
        words = tr("Starting the server…") if self._starting else tr("No server is running")
        self._view.show_server(None, words, startable=not self._starting)

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _tells_notices(self) -> bool:
        """Whether the server sends `Notice` messages. Older servers have one notice, in `Accepted`."""
        welcome = self._submissions.welcome
        return welcome is not None and welcome.protocol >= NOTICES_SINCE

    def document_shown(self) -> None:
        """A document is shown: add the layers that wait for it."""
        self._delivery.document_shown()
        self._look_back()

    def look(self, anew: bool = False) -> None:
        """Show what the next button works on, and the history; see `Choosing.look`."""
        if self.choosing.look(anew):
            self._look_back()
        self.live.tick()
        self._elsewhere.tick()

    def _look_back(self) -> None:
        self.history.look()
        self.variants.look()
        self.stored.show()

    def _is_own(self, job_id: str) -> bool:
        """Whether a job is one of this Krita's."""
        return self._jobs.find(job_id) is not None

    def _added(self, document: Document) -> None:
        """A result was added to a document."""
        self.choosing.forget(document)
        self._look_back()

    def _finish(self, job: PendingJob, seq: int) -> None:
        """Delete a job here and in the job store, and acknowledge its events up to `seq`, so that the server may delete
        it too. With `seq` 0 nothing is acknowledged."""
        self._jobs.forget(job)
        self._job_store.forget(job.id)
        if seq:
            self._link.send(Ack(job=job.id, seq=seq))
        self._progress.refresh()


def _job_of(event: object) -> str | None:
    return event.begin.job if isinstance(event, ArrivedLayer) else getattr(event, "job", None)
