"""Everything that can go wrong between client and server.

    ProtocolError
    ├── BadFrame              bytes that are no frame of this protocol
    ├── InvalidMessage        a known message with a missing or wrong field
    ├── UnexpectedMessage     a message at a moment at which it means nothing
    ├── UnsupportedVersion    the peer speaks another major version
    ├── BadTransfer           chunks out of order, too many, too few, or not those that were announced
    ├── TooLarge              more bytes than the peer said it takes
    ├── UnknownLayer          a job names a layer that was never uploaded
    ├── UnknownJob            a job the server does not have
    ├── JobExists             another job has that id already
    ├── QueueFull             this client has too many jobs waiting
    ├── Quarantined           drawing this request has ended the process that draws, more than once
    ├── StoreFull             the server keeps as much as it may, and nobody has fetched it yet
    ├── NotFinished           an export of a job that has not all its layers
    ├── Interrupted           the server stopped in the middle of the job
    ├── TooFast               more messages in a short time than the server takes
    ├── QuotaExceeded         more uploaded in an hour than the server takes
    ├── LayerLost             a finished layer is no longer in the server's store
    ├── WorkerDied            the process that draws ended in the middle of the job
    ├── ServerStopping        the server is being shut down
    └── InternalError         a bug

Each has a `code`, the name under which it travels, a `message` that names the offending value, and a `hint` that says
what to do about it. The codes of the engine's own errors (`invalid_request`, `out_of_memory`, …) travel in the same
fields.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of all errors between client and server.

    Args:
        message: what is wrong, naming the value. One sentence.
        hint: what can be done about it. One sentence, may be empty.
    """

    code = "protocol_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class BadFrame(ProtocolError):
    code = "bad_frame"


class InvalidMessage(ProtocolError):
    code = "invalid_message"


class UnexpectedMessage(ProtocolError):
    code = "unexpected_message"


class UnsupportedVersion(ProtocolError):
    code = "unsupported_version"


class BadTransfer(ProtocolError):
    code = "bad_transfer"


class TooLarge(ProtocolError):
    code = "too_large"


class UnknownLayer(ProtocolError):
    code = "unknown_layer"


class UnknownJob(ProtocolError):
    code = "unknown_job"


class JobExists(ProtocolError):
    code = "job_exists"


class QueueFull(ProtocolError):
    code = "queue_full"


class Quarantined(ProtocolError):
    code = "quarantined"


class StoreFull(ProtocolError):
    code = "store_full"


class NotFinished(ProtocolError):
    code = "not_finished"


class Interrupted(ProtocolError):
    code = "interrupted"


class TooFast(ProtocolError):
    code = "too_fast"


class QuotaExceeded(ProtocolError):
    code = "quota_exceeded"


class LayerLost(ProtocolError):
    code = "layer_lost"


class WorkerDied(ProtocolError):
    code = "worker_died"


class ServerStopping(ProtocolError):
    code = "server_stopping"


class InternalError(ProtocolError):
    code = "internal_error"
