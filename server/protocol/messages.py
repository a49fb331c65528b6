"""Every message there is. `PROTOCOL.md` says what each means and when it is sent.

    greeting    hello and welcome
    uploads     layers the artist keeps
    jobs        asking for pictures
    results     what becomes of a job
    history     coming back to it

A message is a frozen value: making one checks every field, so what exists can be sent and what arrived can be used.
`type` is its name on the wire.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .fields import PREVIEW_SIDE, ExportFormat, Message, Priority, Problem, State
from .greeting import Example, Hello, Limits, ModelInfo, Refused, Welcome
from .history import Export, Fetch, FetchFailed, FileBegin, FileEnd, JobList, JobSummary, ListJobs
from .jobs import (
    MAX_VARIANTS,
    Accepted,
    Ack,
    Box,
    Cancel,
    Existing,
    Generated,
    Kept,
    Queued,
    Relit,
    Resubmit,
    Resume,
    Source,
    Submit,
    Switch,
    Variant,
)
from .results import Cancelled, Done, Event, Failed, LayerBegin, LayerEnd, Notice, Preview, Progress, Started, is_last
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
    "Done",
    "Event",
    "Example",
    "Existing",
    "Export",
    "ExportFormat",
    "Failed",
    "Fetch",
    "FetchFailed",
    "FileBegin",
    "FileEnd",
    "Generated",
    "Hello",
    "JobList",
    "JobSummary",
    "Kept",
    "LayerBegin",
    "LayerEnd",
    "Limits",
    "ListJobs",
    "Message",
    "ModelInfo",
    "Notice",
    "Preview",
    "Priority",
    "Problem",
    "Progress",
    "Queued",
    "Refused",
    "Relit",
    "Resubmit",
    "Resume",
    "Source",
    "Started",
    "State",
    "Submit",
    "Switch",
    "Upload",
    "UploadReady",
    "UploadRefused",
    "Uploaded",
    "Variant",
    "Welcome",
    "from_map",
    "is_last",
]

FROM_CLIENT = (Hello, Upload, Submit, Resubmit, Cancel, Resume, Ack, ListJobs, Fetch, Export)
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
    LayerBegin,
    LayerEnd,
    Done,
    Failed,
    Cancelled,
    JobList,
    FileBegin,
    FileEnd,
    FetchFailed,
)
TYPES: Mapping[str, type[Message]] = {message.type: message for message in (*FROM_CLIENT, *FROM_SERVER)}


def from_map(values: Mapping[Any, Any]) -> Message | None:
    """The message that a map with a `type` says; None if this version does not know the type.

    Raises:
        InvalidMessage: a field is missing or wrong.
    """
    message = TYPES.get(values["type"])
    if message is None:
        logger.info("ignored a message of the unknown type %.60r", values["type"])
        return None
    return message.from_map({name: value for name, value in values.items() if name != "type"})
