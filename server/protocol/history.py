"""Messages about earlier jobs: to list them, to get their layers, a file or a thumbnail of them, and to delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .editing import MAX_LAYERS, Placed
from .fields import (
    PREVIEW_SIDE,
    Count,
    ExportFormat,
    Instant,
    JobId,
    LayerId,
    Message,
    PixelFormat,
    Problem,
    Side,
    State,
    Text,
    TransferId,
    check_area,
)
from .jobs import Submit
from .schema import Between, Length, Record, since


@dataclass(frozen=True, kw_only=True)
class ListJobs(Message):
    """Client: list the jobs. The answer is `JobList`.

    Attributes:
        newest: number of the newest jobs to list, of all clients.
        own: whether only the user's own jobs are listed, also if the user may see those of others.
    """

    type: ClassVar[str] = "list_jobs"
    newest: Annotated[int, Between(1, 1000)] = 100
    own: bool = since(5, False)


PictureName = Annotated[str, Length(0, 255)]


@dataclass(frozen=True, kw_only=True)
class JobSummary(Record):
    """One job in a list.

    Attributes:
        job: its id.
        state: its state.
        title: its prompts, shortened.
        width, height: the size of its canvas, in pixels.
        layers: number of finished layers.
        submitted, ended: times in seconds since 1970; `ended` is None if the job is not over.
        fetched: whether a client has acknowledged its last event.
        name: the name that the user has given it; empty if there is none.
        submission: id of the job with which it was submitted, which is its own unless it is a variant; None before 1.5.
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
    name: PictureName = since(5, "")
    submission: JobId | None = since(5, None)


@dataclass(frozen=True, kw_only=True)
class JobList(Message):
    """Server: the jobs, newest first."""

    type: ClassVar[str] = "job_list"
    jobs: tuple[JobSummary, ...]


@dataclass(frozen=True, kw_only=True)
class Fetch(Message):
    """Client: send a finished layer again. The answer is `LayerBegin`, chunks and `LayerEnd`, or `FetchFailed`.

    Attributes:
        job: any job that the server still has, also one that failed or is running.
        index: index of the layer in the stack; 0 is the bottom.
    """

    type: ClassVar[str] = "fetch"
    job: JobId
    index: Count


@dataclass(frozen=True, kw_only=True)
class FetchSubmission(Message):
    """Client: send the submission of a job, whoever made it. The answer is `Submission` or `FetchFailed`.

    Attributes:
        job: any job that the server still has.
    """

    type: ClassVar[str] = "fetch_submission"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Submission(Message):
    """Server: what a job draws, so that another client can go on from it.

    Attributes:
        job: the job.
        submit: its submission. That of a variant is one of its own, with its seed and without variants.
    """

    type: ClassVar[str] = "submission"
    job: JobId
    submit: Submit


@dataclass(frozen=True, kw_only=True)
class Export(Message):
    """Client: send a finished job as a file. The answer is `FileBegin`, chunks and `FileEnd`, or `FetchFailed`.

    Attributes:
        job: a finished job.
        format: "psd" or "ora" with all layers, "zip" with a PNG of each, or "png" with the flattened picture.
        prompts: whether the file says the prompts and seeds. The server's own setting may leave them out in any case.
        layers: the layers as an editor has arranged them, bottom first, in place of the job's. The client may use them
            as for a submission.
    """

    type: ClassVar[str] = "export"
    job: JobId
    format: ExportFormat
    prompts: bool = since(4, True)
    layers: Annotated[tuple[Placed, ...], Length(0, MAX_LAYERS)] = since(5, ())


@dataclass(frozen=True, kw_only=True)
class FetchThumbnail(Message):
    """Client: send a small picture of a finished job. The answer is `Thumbnail` or `FetchFailed`.

    Attributes:
        job: a finished job that the server still has.
        side: the longer side of the thumbnail, in pixels; smaller pictures are not enlarged.
    """

    type: ClassVar[str] = "fetch_thumbnail"
    job: JobId
    side: Annotated[int, Between(16, PREVIEW_SIDE)] = 128


@dataclass(frozen=True, kw_only=True)
class Thumbnail(Message):
    """Server: a small picture of a finished job, with its visible layers composited.

    Attributes:
        width, height: its size in pixels.
        pixels: BGRA, 4 x width x height bytes.
    """

    type: ClassVar[str] = "thumbnail"
    job: JobId
    width: Annotated[int, Between(1, PREVIEW_SIDE)]
    height: Annotated[int, Between(1, PREVIEW_SIDE)]
    pixels: bytes
    format: PixelFormat = "bgra8"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_area("thumbnail", self.width, self.height, len(self.pixels))


@dataclass(frozen=True, kw_only=True)
class FetchFailed(Problem):
    """Server: the reason why a layer, file, thumbnail or submission cannot be sent. The job itself does not change.

    Attributes:
        index: index of the requested layer; None if something else was requested.
        format: format of the requested file; None if something else was requested.
    """

    type: ClassVar[str] = "fetch_failed"
    job: JobId
    index: Count | None = None
    format: ExportFormat | None = None


@dataclass(frozen=True, kw_only=True)
class FileBegin(Message):
    """Server: the start of a file. Its chunks follow, and then `FileEnd`.

    Attributes:
        transfer: the transfer number of its chunks. Files and layers share one count.
        format: the requested format.
        bytes: size of the file, in bytes.
        sha256: SHA-256 of the file.
    """

    type: ClassVar[str] = "file_begin"
    job: JobId
    transfer: TransferId
    format: ExportFormat
    bytes: Count
    sha256: LayerId


@dataclass(frozen=True, kw_only=True)
class FileEnd(Message):
    """Server: all chunks of the file were sent."""

    type: ClassVar[str] = "file_end"
    job: JobId
    transfer: TransferId


@dataclass(frozen=True, kw_only=True)
class Delete(Message):
    """Client: delete a job that is over, with its prompts, layers and files. The answer is `Deleted` or `DeleteFailed`.

    Attributes:
        job: the job. If the server does not have it, it counts as deleted, so that a client may ask twice.
    """

    type: ClassVar[str] = "delete"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Deleted(Message):
    """Server: it does not have the job any more. Layers that other jobs need are kept."""

    type: ClassVar[str] = "deleted"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class DeleteFailed(Problem):
    """Server: the reason why a job was not deleted. The job itself does not change."""

    type: ClassVar[str] = "delete_failed"
    job: JobId


@dataclass(frozen=True, kw_only=True)
class Rename(Message):
    """Client: give a job a name for lists and files. The answer is `Renamed` or `RenameFailed`.

    Attributes:
        job: any job that the server still has.
        name: the name; empty takes it away, so that lists show the prompts again.
    """

    type: ClassVar[str] = "rename"
    job: JobId
    name: PictureName


@dataclass(frozen=True, kw_only=True)
class Renamed(Message):
    """Server: the job has this name now, on every client."""

    type: ClassVar[str] = "renamed"
    job: JobId
    name: PictureName


@dataclass(frozen=True, kw_only=True)
class RenameFailed(Problem):
    """Server: the reason why a job was not renamed. The job itself does not change."""

    type: ClassVar[str] = "rename_failed"
    job: JobId
