"""Every error that the engine raises on purpose. Any other exception that reaches the caller is a bug.

    EngineError
    ├── InvalidRequest          a prompt, size, seed or setting that cannot be drawn
    │   └── InvalidLayer        a layer whose pixels or place cannot be used
    ├── FileError
    │   ├── UnreadableFile      missing, truncated, not an image, not a layered document
    │   ├── UnwritableFile      the folder is missing or read-only, the disk is full
    │   └── UnknownFormat       a suffix that has no writer or reader
    ├── ModelError
    │   ├── UnknownModel        no model of that name
    │   ├── BrokenModel         files missing, truncated or of another architecture
    │   └── DownloadFailed      a model could not be fetched: offline, no such file, no permission, disk full
    ├── NoSuchLayer             a stack has no such layer; a KeyError too
    └── OutOfMemory             the job does not fit into memory, even with the policy that uses the least

Each carries a `message` that names the offending value and a `hint` that says what to do; `str(error)` is both, as one
line for a person. `code` is the stable name under which the error travels to other programs.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what is wrong, naming the value. One sentence.
        hint: what the user can do about it. One sentence, may be empty.
    """

    code: str = "engine_error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidRequest(EngineError):
    code = "invalid_request"


class InvalidLayer(InvalidRequest):
    code = "invalid_layer"


class FileError(EngineError):
    code = "file_error"


class UnreadableFile(FileError):
    code = "unreadable_file"


class UnwritableFile(FileError):
    code = "unwritable_file"


class UnknownFormat(FileError):
    code = "unknown_format"


class ModelError(EngineError):
    code = "model_error"


class UnknownModel(ModelError):
    code = "unknown_model"


class BrokenModel(ModelError):
    code = "broken_model"


class DownloadFailed(ModelError):
    code = "download_failed"


class NoSuchLayer(EngineError, KeyError):
    code = "no_such_layer"


class OutOfMemory(EngineError):
    code = "out_of_memory"
