"""All pictures that the server keeps for the user: from the studio, other documents and the command line.

The artist takes one of them into the open document, and goes on from it there.
"""

from __future__ import annotations

from collections.abc import Callable

from .interfaces import Documents, Stored, View
from .jobs import Placement, Refusal
from .protocol.messages import FetchFailed, FetchSubmission, JobList, JobSummary, ListJobs, Message, Submission
from .refusals import RefusalsShown
from .server_words import told
from .thumbnails import Thumbnails
from .translation import tr

PAGE = 24
"""How many pictures are shown at first, and how many more each time."""
LISTED = 200
"""How many jobs are asked for at first, and how many more each time; those that have no picture count, too."""
MOST_LISTED = 1000
"""The most that the protocol allows."""
SINCE = (1, 5)
"""The first version of the protocol that has `FetchSubmission`."""


class StoredPictures:
    """Shows the user's pictures while the artist looks at them, and takes one into a document.

    Args:
        view: the docker.
        documents: Krita's open documents.
        send: sends a message to the server.
        thumbnails: small pictures of jobs.
        show: shows a picture that the active document has already; gets its key in the history.
        take: adds a picture to a document: gets its submission, its title and its place; None makes a document of
            its size.
        check: raises `Refusal` if there is no server.
    """

    def __init__(
        self,
        view: View,
        documents: Documents,
        send: Callable[[Message], None],
        thumbnails: Thumbnails,
        show: Callable[[str], None],
        take: Callable[[Submission, str, Placement | None], None],
        check: Callable[[], object],
    ) -> None:
        self._view = view
        self._documents = documents
        self._send = send
        self._thumbnails = thumbnails
        self._show_in_document = show
        self._take = take
        self._check = check
        self._jobs: tuple[JobSummary, ...] = ()
        self._newest = LISTED
        self._most = PAGE
        self._asked: dict[str, tuple[str, Placement | None]] = {}  # by job: title and place of what was clicked
        self._serves = False
        self._looks = False

    @property
    def newest(self) -> int:
        """How many jobs a list has to have."""
        return self._newest if self._looks else 0

    def connected(self, protocol: tuple[int, int]) -> None:
        """A server with this version of the protocol is there."""
        self._serves = protocol >= SINCE
        self._asked = {}

    # ---- intents -----------------------------------------------------------------------------------------------------

    def open(self) -> bool:
        """Show the pictures from now on.

        Returns:
            False if there is no server that can tell them.
        """
        with RefusalsShown(self._view):
            self._check()
            if not self._serves:
                raise Refusal(
                    tr("The running server is older than this plugin and does not support this."),
                    tr(
                        "Stop the server with Ctrl-C in its terminal, or restart the computer; then press Start server."
                    ),
                )
            self._looks, self._newest, self._most = True, LISTED, PAGE
            self._ask()
            return True
        return False

    def close(self) -> None:
        """The artist does not look at them any more."""
        self._looks = False

    def more(self) -> None:
        """Show older pictures, too."""
        self._most += PAGE
        if len(self._finished()) < self._most and self._newest < MOST_LISTED:
            self._newest = min(self._newest + LISTED, MOST_LISTED)
            self._ask()
        self.show()

    def take(self, job: str) -> None:
        """Add a picture to the active document, or show it there if the document has it already."""
        with RefusalsShown(self._view):
            self._check()
            document = self._documents.active()
            entry = None if document is None else next((e for e in document.history() if e.job == job), None)
            if entry is not None:
                self._show_in_document(entry.key)
                return
            picture = next((each for each in self._jobs if each.job == job), None)
            if picture is not None and job not in self._asked:
                self._asked[job] = _title(picture), None if document is None else document.placement()
                self._send(FetchSubmission(job=job))

    # ---- what the server says ----------------------------------------------------------------------------------------

    def receive(self, answer: JobList | Submission | FetchFailed) -> None:
        """Take the server's answer."""
        match answer:
            case JobList():
                if self._looks:
                    self._jobs = answer.jobs
            case Submission() if answer.job in self._asked:
                with RefusalsShown(self._view):
                    self._take(answer, *self._asked.pop(answer.job))
            case FetchFailed() if answer.job in self._asked and answer.index is None and answer.format is None:
                del self._asked[answer.job]
                self._view.warn(*told(answer))
            case _:
                pass
        self.show()

    def show(self) -> None:
        """Show the pictures as they are now."""
        if not self._looks:
            return
        document = self._documents.active()
        there = set() if document is None else {entry.job for entry in document.history() if entry.there}
        finished = self._finished()
        shown = tuple(
            Stored(
                job=each.job,
                title=_title(each),
                size=(each.width, each.height),
                made=each.ended or each.submitted,
                there=each.job in there,
                thumbnail=self._thumbnails.of(each.job),
            )
            for each in finished[: self._most]
        )
        whole = len(self._jobs) < self._newest or self._newest == MOST_LISTED
        self._view.show_stored(shown, more=len(finished) > self._most or not whole)

    def _ask(self) -> None:
        self._send(ListJobs(newest=self._newest, own=True))

    def _finished(self) -> list[JobSummary]:
        return [each for each in self._jobs if each.state == "finished"]


def _title(picture: JobSummary) -> str:
    return picture.name or picture.title or tr("Unnamed")
