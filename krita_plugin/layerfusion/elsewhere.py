"""The user's pictures that other programs, such as the studio, let the server draw while this Krita is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .images import Picture
from .interfaces import Waiting
from .protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    JobList,
    ListJobs,
    Message,
    Preview,
    Progress,
    Queued,
    Resume,
)
from .text import progress_words, waiting_words
from .translation import tr

SINCE = (1, 5)
"""The first version of the protocol that lists a user's own jobs."""
LISTED = 30
"""How many of the newest jobs are looked at."""
EVERY = 8
"""Looks at the active layer between two looks at the server's list; some 3 seconds."""
FROM_NOW_ON = 2**53 - 1
"""`after` of events that nobody needs here: the server sends only notes and what happens from now on."""


@dataclass
class _Job:
    title: str
    words: str
    picture: Picture | None = None


class Elsewhere:
    """Follows the jobs that are not this Krita's, and lists them after its own.

    Args:
        send: sends a message to the server.
        is_own: whether a job is of this Krita.
        show: shows the jobs.
        newest: how many jobs somebody else needs in the list.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        is_own: Callable[[str], bool],
        show: Callable[[tuple[Waiting, ...]], None],
        newest: Callable[[], int],
    ) -> None:
        self._send = send
        self._is_own = is_own
        self._show = show
        self._newest = newest
        self._jobs: dict[str, _Job] = {}
        self._asks = False
        self._turn = 0

    def connected(self, protocol: tuple[int, int]) -> None:
        """A server with this version of the protocol is there."""
        self._asks = protocol >= SINCE
        self._turn = 0

    def disconnected(self) -> None:
        self._asks = False
        self._jobs = {}
        self._refresh()

    def tick(self) -> None:
        """Look at the server's list from time to time. Called often."""
        if self._asks and self._turn == 0:
            self._send(ListJobs(newest=max(LISTED, self._newest()), own=True))
        self._turn = (self._turn + 1) % EVERY

    def take(self, answer: JobList) -> None:
        """See what the server is drawing, or will."""
        live = {each.job: each for each in answer.jobs if each.state in ("queued", "running")}
        self._jobs = {job: known for job, known in self._jobs.items() if job in live}
        for job, each in live.items():
            if self._is_own(job):
                self._jobs.pop(job, None)
            elif job not in self._jobs:
                self._jobs[job] = _Job(each.name or each.title, tr("Waiting"))
                self._send(Resume(job=job, after=FROM_NOW_ON))
        self._refresh()

    def receive(self, event: object) -> None:
        """Take an event of a job that is not this Krita's."""
        job = self._jobs.get(getattr(event, "job", ""))
        if job is None:
            return
        match event:
            case Accepted() | Queued():
                job.words = waiting_words(event.position, event.starts_in)
            case Progress():
                job.words = progress_words(event)
            case Preview() if event.role == "blended" or job.picture is None:
                job.picture = Picture(0, 0, event.width, event.height, event.pixels)
            case Done() | Failed() | Cancelled():
                del self._jobs[event.job]
            case _:
                return
        self._refresh()

    def cancel(self, job: str) -> None:
        """Cancel a job, whoever began it: it is the same artist's."""
        if job in self._jobs:
            self._send(Cancel(job=job))

    def _refresh(self) -> None:
        self._show(
            tuple(
                Waiting(
                    job=job,
                    title=each.title,
                    document=None,
                    words=tr("In another program · {words}", words=each.words),
                    picture=each.picture,
                    movable=False,
                )
                for job, each in self._jobs.items()
            )
        )
