"""Pending jobs on disk, so that a picture that the server finishes after Krita was closed still gets into its document.

Each job is one small JSON file, in a folder beside the server's runtime file. When Krita starts, it takes over the jobs
of Krita processes that have ended.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from .jobs import PendingJob, Placement
from .protocol import location
from .protocol.errors import ProtocolError
from .protocol.messages import Submit

logger = logging.getLogger(__name__)


class JobStore:
    """The saved jobs of this Krita process, and of earlier ones.

    Args:
        folder: the folder of the job files; None is `krita-jobs` beside the runtime file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or location.path().parent / "krita-jobs"

    def save(self, job: PendingJob) -> None:
        """Save a job. If it cannot be written, that is logged, and the job is drawn all the same."""
        text = json.dumps(
            {
                "pid": os.getpid(),
                "submit": job.submit.to_map(),
                "placement": asdict(job.placement),
                "title": job.title,
                "record": job.record,
                "warning": job.warning,
                "again": job.again,
                "returns": job.returns,
                "press": job.press,
            }
        )
        part = self._folder / f"{job.id}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            part.replace(self._file(job.id))
        except OSError as error:
            logger.warning("job %s could not be saved: %s", job.id, error)

    def forget(self, job: str) -> None:
        """Delete the file of a job."""
        with contextlib.suppress(OSError):
            self._file(job).unlink()

    def take_left(self) -> list[PendingJob]:
        """Take over and return the jobs of Krita processes that have ended. Files that cannot be read are deleted."""
        jobs = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                values = json.loads(file.read_text(encoding="utf-8"))
                if values["pid"] == os.getpid() or location.is_running(values["pid"]):
                    continue
                job = _job(values)
                file.unlink()  # if two Kritas start at the same time, this fails in one of them
            except OSError:
                continue
            except (ValueError, KeyError, TypeError, ProtocolError):
                logger.warning("deleted a saved job that cannot be read: %s", file)
                self.forget(file.stem)
                continue
            self.save(job)
            jobs.append(job)
        return jobs

    def _file(self, job: str) -> Path:
        return self._folder / f"{job}.json"


def _job(values: dict) -> PendingJob:
    submit = Submit.from_map({name: value for name, value in values["submit"].items() if name != "type"})
    return PendingJob(
        submit=submit,
        placement=_placement(values["placement"]),
        title=str(values["title"]),
        record=dict(values["record"]),
        artists=(),
        warning=str(values["warning"]),
        again=bool(values["again"]),
        returns=bool(values.get("returns", False)),
        press=str(values.get("press", submit.job)),
        accepted=True,
    )


def _placement(values: dict) -> Placement:
    canvas = values.get("canvas")
    return Placement(**{**values, "canvas": None if canvas is None else (int(canvas[0]), int(canvas[1]))})
