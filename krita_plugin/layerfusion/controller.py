"""What the artist wants, what the server says, and what becomes of the document: read this first.

The docker calls the methods named after its buttons; the link's events come in through `receive`; everything the artist
sees goes out through `View`. Nothing here waits, and everything runs on the GUI thread.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import launcher
from .images import Picture
from .interfaces import Document, Documents, View, Wishes
from .jobs import ArrivedLayer, PendingJob, Placement, Refusal
from .link import Link, Offline, Online
from .protocol.errors import ProtocolError
from .protocol.messages import (
    Accepted,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Generated,
    Kept,
    Preview,
    Progress,
    Queued,
    Resume,
    Started,
    Submit,
    Welcome,
)


class Controller:
    """Intents, messages and documents, and the one job that may be under way.

    Args:
        view: the docker.
        documents: Krita's.
        link: the connection.
        post: takes values from other threads and hands them to `receive` on this one.
    """

    def __init__(self, view: View, documents: Documents, link: Link, post: Callable[[object], None]) -> None:
        self._view = view
        self._documents = documents
        self._link = link
        self._post = post
        self._welcome: Welcome | None = None
        self._job: PendingJob | None = None
        self._starting = False

    # ---- intents -----------------------------------------------------------------------------------------------------

    def start_server(self) -> None:
        """Start the server of the installation this plugin came from; the link finds it when it listens."""
        arguments = launcher.command()
        try:
            launcher.start(arguments, self._post)
        except OSError as error:
            self._view.warn(
                f"“{arguments[0]}” could not be started ({error.strerror}).",
                "Run “layerfusion plugin install” where the server is installed, or use the command above.",
            )
            return
        self._starting = True
        self._show_no_server()

    def generate(self, wishes: Wishes) -> None:
        """Draw a foreground and a background into the active document."""
        with _Refusals(self._view):
            welcome, document = self._ready()
            _need_prompt("foreground", wishes.foreground)
            foreground = Generated(prompt=wishes.foreground, negative_prompt=wishes.negative)
            self._submit(welcome, document, wishes, foreground, None, document.placement())

    def new_background(self, wishes: Wishes) -> None:
        """Draw another background behind a foreground the artist has, which stays as it is."""
        with _Refusals(self._view):
            welcome, document = self._ready()
            document.check_colours()
            layer = document.layer_to_keep()
            prompt = layer.prompt or wishes.foreground
            _need_prompt("foreground", prompt)
            if layer.losses and not self._view.ask(
                f"The copy of “{layer.name}” in the new group will not have {_listed(layer.losses)}. "
                "The layer itself stays as it is.",
                "Draw the background",
            ):
                return
            picture = layer.picture
            kept = Kept(
                layer=picture.sha256,
                width=picture.width,
                height=picture.height,
                x=picture.x,
                y=picture.y,
                name=layer.name[:255],
                prompt=prompt,
            )
            self._submit(welcome, document, wishes, kept, picture, layer.placement)

    def cancel(self) -> None:
        """Stop the job. What arrives of it after this moment is left alone."""
        if self._job is not None:
            self._link.send(Cancel(job=self._job.id))
            self._end_job()
            self._view.say("Cancelled.")

    def export_psd(self, choose_path: Callable[[str], str]) -> None:
        """Write a group to a PSD file.

        Args:
            choose_path: asks the artist for the file, given a name to offer; empty if they thought better of it.
        """
        with _Refusals(self._view):
            document = self._open_document()
            document.check_colours()
            name = document.name_to_export()
            chosen = choose_path(f"{_file_name(name)}.psd")
            if not chosen:
                return
            path = Path(chosen)
            if path.suffix.lower() != ".psd":
                path = path.with_name(f"{path.name}.psd")
            document.export_psd(path)
            self._view.say(f"“{name}” is in {path}")

    # ---- events ------------------------------------------------------------------------------------------------------

    def receive(self, event: object) -> None:
        """Take one event of the link or the launcher. Messages about a job that is no longer ours are ignored."""
        job = self._job
        match event:
            case Online(welcome):
                self._online(welcome)
            case Offline():
                self._offline(event)
            case launcher.ServerExited():
                self._exited(event)
            case _ if job is None or _job_of(event) != job.id:
                return
            case Accepted():
                job.accepted, job.notice = True, event.notice
                self._show_position(event.position)
            case Queued():
                self._show_position(event.position)
            case Started():
                job.after = event.seq
                self._view.show_job("Starting", 0, 0)
            case Progress():
                self._show_progress(event)
            case Preview():
                job.shows_whole = job.shows_whole or event.role == "blended"
                if event.role == "blended" or not job.shows_whole:
                    self._view.show_preview(Picture(0, 0, event.width, event.height, event.pixels))
            case ArrivedLayer():
                job.after = event.begin.seq
                job.layers[event.begin.index] = event
            case Done():
                self._job = None  # first, as Krita lets other events happen while it takes the layers
                try:
                    self._put_into_document(job, event.layers)
                finally:
                    self._view.show_idle()
            case Failed():
                self._end_job()
                self._view.warn(event.message, event.hint)
            case Cancelled():
                self._end_job()
                self._view.say("Cancelled.")

    def _online(self, welcome: Welcome) -> None:
        self._welcome, self._starting = welcome, False
        self._view.show_server(welcome, "Ready")
        job = self._job
        if job is None:
            return
        if welcome.instance != job.instance:
            self._lose_job()
        elif job.accepted:
            self._link.send(Resume(job=job.id, after=job.after))
        else:
            self._link.submit(job.submit, job.kept)

    def _offline(self, event: Offline) -> None:
        self._welcome = None
        self._show_no_server()
        if event.message and not self._starting:
            self._view.warn(event.message, event.hint)
        if self._job is not None:
            if event.resumable:
                self._view.show_job("Waiting for the server", 0, 0)
            else:
                self._lose_job()

    def _exited(self, event: launcher.ServerExited) -> None:
        if self._starting:
            self._starting = False
            self._show_no_server()
            self._view.warn(
                f"The server stopped while starting: {event.words or f'exit status {event.code}'}",
                "Start it in a terminal with the command above to see more.",
            )

    def _show_no_server(self) -> None:
        words = "Starting the server…" if self._starting else "No server is running"
        self._view.show_server(None, words, startable=not self._starting)

    def _lose_job(self) -> None:
        self._end_job()
        self._view.warn("The server stopped while it was drawing.", "Start it and press the button again.")

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _ready(self) -> tuple[Welcome, Document]:
        """The server and the document, if a job can begin now."""
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

    def _submit(
        self,
        welcome: Welcome,
        document: Document,
        wishes: Wishes,
        foreground: Generated | Kept,
        kept: Picture | None,
        placement: Placement,
    ) -> None:
        _need_prompt("background", wishes.background)
        warning = document.check_colours()
        width, height = document.size
        submit = Submit(
            job=str(uuid.uuid4()),
            width=width,
            height=height,
            background=Generated(prompt=wishes.background, negative_prompt=wishes.negative),
            foregrounds=(foreground,),
            blended_prompt=wishes.blended or None,
            seed=wishes.seed,
            steps=wishes.steps,
            model=wishes.model or welcome.models[0].name,
        )
        self._job = PendingJob(
            submit=submit,
            placement=placement,
            title=f"{_shortened(foreground.prompt)} + {_shortened(wishes.background)}",
            record={**asdict(wishes), "foreground": foreground.prompt, "model": submit.model},
            kept=kept,
            instance=welcome.instance,
            warning=warning,
        )
        self._view.show_job("Sending", 0, 0)
        self._link.submit(submit, kept)

    def _end_job(self) -> None:
        self._job = None
        self._view.show_idle()

    def _put_into_document(self, job: PendingJob, announced: int) -> None:
        document = self._documents.by_id(job.placement.document)
        if document is None:
            self._view.warn(
                f"“{job.placement.title}” was closed before its layers came.",
                "Open it and generate again with the same seed: the picture will be the same.",
            )
            return
        if len(job.layers) != announced or not job.kept_came_back():
            self._view.warn("The server sent other layers than it announced; nothing was changed.", "Generate again.")
            return
        with _Refusals(self._view):
            document.insert(job.placement, job.title, job.stack(), job.record)
            notes = [_sentence(note) for note in (job.warning, job.notice) if note]
            self._view.say(f"Drawn into “{document.name}”.", " ".join(notes))

    def _show_position(self, position: int) -> None:
        self._view.show_job(f"Waiting for {position} before it" if position else "Next in line", 0, 0)

    def _show_progress(self, progress: Progress) -> None:
        words = f"{progress.stage[:1].upper()}{progress.stage[1:]} {progress.step} of {progress.total}"
        if progress.eta is not None and progress.eta >= 1:
            words += f" · {_duration(progress.eta)} left"
        self._view.show_job(words, progress.step, progress.total)


class _Refusals:
    """`with _Refusals(view):` what is refused inside is shown to the artist, and that is all that happens."""

    def __init__(self, view: View) -> None:
        self._view = view

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, (Refusal, ProtocolError)):
            self._view.warn(error.message, error.hint)
            return True
        return False


def _need_prompt(which: str, prompt: str) -> None:
    if not prompt.strip():
        raise Refusal(f"The {which} prompt is empty.", "Say in a few words what to draw there.")


def _job_of(event: object) -> str | None:
    return event.begin.job if isinstance(event, ArrivedLayer) else getattr(event, "job", None)


def _listed(items: tuple[str, ...]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _shortened(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= 40 else f"{line[:39].rstrip()}…"


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _file_name(text: str) -> str:
    """Without the characters that Windows, macOS or Linux do not take in the name of a file."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", text).strip(" .") or "layers"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"
