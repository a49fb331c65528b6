"""Coming back to jobs: which there are, and their layers and files again, long after they were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .fields import Count, ExportFormat, Instant, JobId, LayerId, Message, Problem, Side, State, Text, TransferId
from .schema import Between, Record


@dataclass(frozen=True, kw_only=True)
class ListJobs(Message):
    """Client: which jobs do you have? Answered by `JobList`.

    Attributes:
        newest: so many of the last, whoever submitted them.
    """

    type: ClassVar[str] = "list_jobs"
    newest: Annotated[int, Between(1, 1000)] = 100


@dataclass(frozen=True, kw_only=True)
class JobSummary(Record):
    """One job in a list.

    Attributes:
        job: its id.
        state: where it is.
        title: its prompts, shortened.
        width, height: of its canvas.
        layers: how many are finished.
        submitted, ended: when, in seconds since 1970; None if it is not over.
        fetched: a client has acknowledged all of it.
    """

    job: JobId
    state: State
    title: Text
    width: Side
    height: Side
    layers: Count
    submitted: Instant
    ended: Instant | None
    fetched: bool


@dataclass(frozen=True, kw_only=True)
class JobList(Message):
    """Server: the jobs, last first."""

    type: ClassVar[str] = "job_list"
    jobs: tuple[JobSummary, ...]


@dataclass(frozen=True, kw_only=True)
class Fetch(Message):
    """Client: send me this finished layer again. Answered by its `LayerBegin`, chunks and `LayerEnd`, or `FetchFailed`.

    Attributes:
        job: any that the server still has, also one that failed or still runs.
        index: of the layer: its place in the stack.
    """

    type: ClassVar[str] = "fetch"
    job: JobId
    index: Count


@dataclass(frozen=True, kw_only=True)
class Export(Message):
    """Client: send me this finished job as a file. Answered by `FileBegin`, chunks and `FileEnd`, or `FetchFailed`.

    Attributes:
        job: a finished one.
        format: "psd" or "ora" with all layers, "png" the flattened picture.
    """

    type: ClassVar[str] = "export"
    job: JobId
    format: ExportFormat


@dataclass(frozen=True, kw_only=True)
class FetchFailed(Problem):
    """Server: that cannot be had, and why. The job itself stays as it is.

    Attributes:
        index: of the layer that was asked for; None if it was a file.
        format: of the file that was asked for; None if it was a layer.
    """

    type: ClassVar[str] = "fetch_failed"
    job: JobId
    index: Count | None = None
    format: ExportFormat | None = None


@dataclass(frozen=True, kw_only=True)
class FileBegin(Message):
    """Server: a file. Its chunks follow, then `FileEnd`.

    Attributes:
        transfer: the number its chunks carry; counted together with those of layers.
        format: as asked for.
        bytes: in all.
        sha256: of them.
    """

    type: ClassVar[str] = "file_begin"
    job: JobId
    transfer: TransferId
    format: ExportFormat
    bytes: Count
    sha256: LayerId


@dataclass(frozen=True, kw_only=True)
class FileEnd(Message):
    """Server: all chunks of the file are sent."""

    type: ClassVar[str] = "file_end"
    job: JobId
    transfer: TransferId
