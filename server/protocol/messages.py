"""All messages. `PROTOCOL.md` says what each means and when it is sent. They are defined in these modules:

    greeting    hello, welcome and refused
    uploads     uploads of layers
    jobs        submission and control of jobs
    results     events and notes of a job
    history     lists, layers and files of earlier jobs, and their deletion
    editing     layers by their SHA-256: of files, scaled, and their pixels
    styles      how the user likes pictures to be drawn

A message is a frozen value, and all its fields are validated when it is made. `type` is its name in the protocol.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .editing import (
    FetchPixels,
    FileRead,
    LayerFailed,
    LayerScaled,
    PixelsBegin,
    PixelsEnd,
    Placed,
    ReadFailed,
    ReadFile,
    ScaleLayer,
)
from .fields import PREVIEW_SIDE, ExportFormat, Message, Priority, Problem, Sentence, SentenceValue, State
from .greeting import Example, Hello, Limits, ModelInfo, Phrases, PresetSteps, Refused, Welcome
from .history import (
    Delete,
    Deleted,
    DeleteFailed,
    Export,
    Fetch,
    FetchFailed,
    FetchSubmission,
    FetchThumbnail,
    FileBegin,
    FileEnd,
    JobList,
    JobSummary,
    ListJobs,
    Rename,
    Renamed,
    RenameFailed,
    Submission,
    Thumbnail,
)
from .jobs import (
    MAX_VARIANTS,
    Accepted,
    Ack,
    Box,
    Cancel,
    Existing,
    Generated,
    Kept,
    Move,
    Queued,
    Relit,
    Resubmit,
    Resume,
    Source,
    Submit,
    Switch,
    Variant,
)
from .results import (
    Cancelled,
    Done,
    Event,
    Failed,
    LayerBegin,
    LayerEnd,
    Masks,
    Notice,
    Preview,
    Progress,
    Started,
    is_last,
)
from .styles import DeleteStyle, ListStyles, SaveStyle, Style, StyleFailed, StyleLora, Styles
from .uploads import Upload, Uploaded, UploadReady, UploadRefused

logger = logging.getLogger(__name__)

__all__ = [
    "FROM_CLIENT",
    "FROM_SERVER",
    "MAX_VARIANTS",
    "PREVIEW_SIDE",
    "TYPES",
    "Accepted",
    "Ack",
    "Box",
    "Cancel",
    "Cancelled",
    "Delete",
    "DeleteFailed",
    "DeleteStyle",
    "Deleted",
    "Done",
    "Event",
    "Example",
    "Existing",
    "Export",
    "ExportFormat",
    "Failed",
    "Fetch",
    "FetchFailed",
    "FetchPixels",
    "FetchSubmission",
    "FetchThumbnail",
    "FileBegin",
    "FileEnd",
    "FileRead",
    "Generated",
    "Hello",
    "JobList",
    "JobSummary",
    "Kept",
    "LayerBegin",
    "LayerEnd",
    "LayerFailed",
    "LayerScaled",
    "Limits",
    "ListJobs",
    "ListStyles",
    "Masks",
    "Message",
    "ModelInfo",
    "Move",
    "Notice",
    "Phrases",
    "PixelsBegin",
    "PixelsEnd",
    "Placed",
    "PresetSteps",
    "Preview",
    "Priority",
    "Problem",
    "Progress",
    "Queued",
    "ReadFailed",
    "ReadFile",
    "Refused",
    "Relit",
    "Rename",
    "RenameFailed",
    "Renamed",
    "Resubmit",
    "Resume",
    "SaveStyle",
    "ScaleLayer",
    "Sentence",
    "SentenceValue",
    "Source",
    "Started",
    "State",
    "Style",
    "StyleFailed",
    "StyleLora",
    "Styles",
    "Submission",
    "Submit",
    "Switch",
    "Thumbnail",
    "Upload",
    "UploadReady",
    "UploadRefused",
    "Uploaded",
    "Variant",
    "Welcome",
    "from_map",
    "is_last",
]

FROM_CLIENT = (
    Hello,
    Upload,
    Submit,
    Resubmit,
    Cancel,
    Move,
    Resume,
    Ack,
    ListJobs,
    Fetch,
    FetchThumbnail,
    FetchSubmission,
    Export,
    Delete,
    Rename,
    ReadFile,
    ScaleLayer,
    FetchPixels,
    ListStyles,
    SaveStyle,
    DeleteStyle,
)
FROM_SERVER = (
    Welcome,
    Refused,
    UploadReady,
    Uploaded,
    UploadRefused,
    Accepted,
    Queued,
    Started,
    Notice,
    Progress,
    Preview,
    Masks,
    LayerBegin,
    LayerEnd,
    Done,
    Failed,
    Cancelled,
    JobList,
    FileBegin,
    FileEnd,
    Thumbnail,
    Submission,
    FetchFailed,
    Deleted,
    DeleteFailed,
    Renamed,
    RenameFailed,
    FileRead,
    ReadFailed,
    LayerScaled,
    PixelsBegin,
    PixelsEnd,
    LayerFailed,
    Styles,
    StyleFailed,
)
TYPES: Mapping[str, type[Message]] = {message.type: message for message in (*FROM_CLIENT, *FROM_SERVER)}


def from_map(values: Mapping[Any, Any]) -> Message | None:
    """Make a message from a map with a `type`. None if this version does not know the type.

    Raises:
        InvalidMessage: a field is missing or wrong.
    """
    message = TYPES.get(values["type"])
    if message is None:
        logger.info("ignored a message of the unknown type %.60r", values["type"])
        return None
    return message.from_map({name: value for name, value in values.items() if name != "type"})
