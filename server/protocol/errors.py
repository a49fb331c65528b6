"""All errors between client and server.

    ProtocolError
    ├── BadFrame              the bytes are not a frame of this protocol
    ├── InvalidMessage        a field of a known message is missing or wrong
    ├── UnexpectedMessage     the message is not allowed in the current state
    ├── UnsupportedVersion    the peer has another major version
    ├── BadTransfer           chunks are out of order, too many or too few, or have another SHA-256 than announced
    ├── TooLarge              a message or layer has more bytes than the limit
    ├── UnknownLayer          a job refers to a layer that was not uploaded
    ├── UnknownJob            the server does not have the job
    ├── JobExists             another job has the same id
    ├── QueueFull             too many jobs of this client are waiting
    ├── Quarantined           the worker process died more than once while it drew this request
    ├── StoreFull             the layer store is full of layers that were not fetched yet
    ├── NotFinished           a job cannot be exported or deleted because it is not finished
    ├── Interrupted           the server stopped while it drew the job
    ├── TooFast               the client sent more messages in a short time than the limit
    ├── QuotaExceeded         the client uploaded more bytes in an hour than the limit
    ├── LayerLost             a finished layer is no longer in the server's layer store
    ├── WorkerDied            the worker process died while it drew the job
    ├── WorkerHung            the worker process made no step for too long and was stopped
    ├── CannotDraw            the worker process could not start several times
    ├── TokenRevoked          the user may not use the server any more
    ├── StyleExists           another style of the user has the name
    ├── TooManyStyles         the user has as many styles as there may be
    ├── ServerStopping        the server is shutting down
    └── InternalError         a bug

Each error has a `code` for programs, a `message` that names the wrong value, and a `hint` with the remedy. The engine's
errors (`invalid_request`, `out_of_memory`, …) are sent in the same fields.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Base of all errors between client and server.

    Args:
        message: what is wrong, with the value, in one sentence.
        hint: the remedy, in one sentence; may be empty.
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


class TokenRevoked(ProtocolError):
    code = "token_revoked"


class WorkerHung(ProtocolError):
    code = "worker_hung"


class CannotDraw(ProtocolError):
    code = "cannot_draw"


class StyleExists(ProtocolError):
    code = "style_exists"


class TooManyStyles(ProtocolError):
    code = "too_many_styles"


class ServerStopping(ProtocolError):
    code = "server_stopping"


class InternalError(ProtocolError):
    code = "internal_error"
