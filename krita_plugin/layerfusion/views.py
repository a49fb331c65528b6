"""All dockers as one view: Krita has one in each window, and the controller need not know how many there are."""

from __future__ import annotations

from .history_entry import Entry
from .images import Picture
from .interfaces import Picks, Stored, View, Waiting
from .jobs import Remedy
from .protocol.messages import Style, Welcome


class Views:
    """Shows everything in every docker, and to a docker of a new window what the others show already.

    It implements `View`. A docker is `attach`ed when it is made, and must be `detach`ed before Qt deletes it.
    """

    def __init__(self) -> None:
        self._views: list[View] = []
        self._server: tuple[Welcome | None, str, bool] | None = None
        self._job: tuple[str, int, int] | None = None
        self._queue: tuple[Waiting, ...] = ()
        self._notes: list[str] = []
        self._picks = Picks()
        self._history: tuple[Entry, ...] = ()
        self._variants = 0, 0
        self._styles: tuple[Style, ...] | None = None
        self._live = False

    def attach(self, view: View) -> None:
        self._views.append(view)
        self._show_all(view)

    def _show_all(self, view: View) -> None:
        if self._server is not None:
            view.show_server(*self._server)
        if self._job is None:
            view.show_idle()
        else:
            view.show_job(*self._job)
        view.show_queue(self._queue)
        for text in self._notes:
            view.note(text)
        view.show_picks(self._picks)
        view.show_history(self._history)
        view.show_variants(*self._variants)
        view.show_styles(self._styles)
        view.show_live(self._live)

    def rebuild(self) -> None:
        """Make each docker anew, because the language or Krita's theme has changed."""
        for view in self._views:
            view.rebuild()
            self._show_all(view)

    def detach(self, view: View) -> None:
        self._views = [each for each in self._views if each is not view]

    def show_server(self, welcome: Welcome | None, words: str, startable: bool = False) -> None:
        self._server = welcome, words, startable
        for view in self._views:
            view.show_server(welcome, words, startable)

    def show_job(self, words: str, step: int, total: int) -> None:
        self._job = words, step, total
        for view in self._views:
            view.show_job(words, step, total)

    def show_idle(self) -> None:
        self._job = None
        for view in self._views:
            view.show_idle()

    def show_queue(self, waiting: tuple[Waiting, ...]) -> None:
        self._queue = waiting
        for view in self._views:
            view.show_queue(waiting)

    def show_preview(self, picture: Picture) -> None:
        for view in self._views:
            view.show_preview(picture)

    def show_picks(self, picks: Picks) -> None:
        self._picks = picks
        for view in self._views:
            view.show_picks(picks)

    def show_history(self, entries: tuple[Entry, ...]) -> None:
        self._history = entries
        for view in self._views:
            view.show_history(entries)

    def show_stored(self, pictures: tuple[Stored, ...], more: bool) -> None:
        for view in self._views:
            view.show_stored(pictures, more)

    def show_variants(self, index: int, count: int) -> None:
        self._variants = index, count
        for view in self._views:
            view.show_variants(index, count)

    def show_styles(self, styles: tuple[Style, ...] | None) -> None:
        self._styles = styles
        for view in self._views:
            view.show_styles(styles)

    def show_live(self, on: bool) -> None:
        self._live = on
        for view in self._views:
            view.show_live(on)

    def note(self, text: str) -> None:
        self._notes.append(text)
        for view in self._views:
            view.note(text)

    def say(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        for view in self._views:
            view.say(message, hint, remedy)

    def warn(self, message: str, hint: str = "", remedy: Remedy | None = None) -> None:
        for view in self._views:
            view.warn(message, hint, remedy)

    def clear(self) -> None:
        self._notes = []
        for view in self._views:
            view.clear()
