"""Exporting a finished job to one file, in a separate process: encoding takes seconds of Python, which would block the
server's sockets or the worker.

    python -m layerfusion.server.worker.export_process DATABASE LAYERS <REQUEST

The request is the message `Export`, as JSON: it may hold hundreds of layers, and prompts, which a command line shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from layerfusion.engine import formats
from layerfusion.engine.errors import EngineError
from layerfusion.engine.formats.merged import encode_merged
from layerfusion.engine.models.catalog.registry import find_model
from layerfusion.engine.provenance import with_records
from layerfusion.engine.stack import LayerStack
from layerfusion.server import translate
from layerfusion.server.config import NO_PROMPTS_VARIABLE
from layerfusion.server.protocol.errors import InternalError, LayerLost, NotFinished, ProtocolError, UnknownJob
from layerfusion.server.protocol.messages import Done, Export, ExportFormat, LayerBegin, Placed
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.records import JobRecord

_SECONDS = 300.0


class ProcessFailed(ProtocolError):
    """An error that a process reported, with its code."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code = code


async def export(database: Path, layers: Path, request: Export) -> tuple[str, int]:
    """Export a job and put the file into the store.

    Args:
        database, layers: the database file and the layer store of the server's folder.
        request: the finished job, the format, and the layers if they differ from the job's. The variable
            LAYERFUSION_NO_PROMPTS leaves prompts and seeds out in any case.

    Returns:
        The file's SHA-256 and its size in bytes.

    Raises:
        ProcessFailed: the job is unknown or not finished, a layer is missing, or the disk is full.
        InternalError: the process failed in another way or took longer than 300 s.
    """
    # -P: modules are not looked for in the current folder, whose files are not ours.
    arguments = ["-P", "-m", "layerfusion.server.worker.export_process", str(database), str(layers)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_SECONDS):
            said, _ = await process.communicate(json.dumps(request.to_map()).encode())
        answer = json.loads(said)
    except (TimeoutError, ValueError) as error:
        raise InternalError("The export failed.", "The server's log has the details.") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if "code" in answer:
        raise ProcessFailed(**answer)
    return answer["sha256"], answer["bytes"]


def load_stack(database: Database, store: LayerStore, job: str, placed: Sequence[Placed] = ()) -> LayerStack:
    """Read the layers of a finished job.

    Args:
        placed: the layers of the result, if an editor has arranged them; empty for the job's own.

    Raises:
        InvalidLayer, UnknownLayer: see `translate.arranged`.
        UnknownJob: there is no such job.
        NotFinished: it is not finished.
        LayerLost: the file of one of its layers is missing.
    """
    record = database.find(job)
    if record is None:
        raise UnknownJob(f"There is no job {job}.", "See “layerfusion jobs list”.")
    if record.state != "finished":
        raise NotFinished(f"The job {job} is {record.state}.", "Only finished jobs can be exported.")
    begins = [event for event in database.events(job) if isinstance(event, LayerBegin)]
    try:
        stack = translate.to_stack(record.submit, begins, store)
        stated = [event.record for event in database.events(job) if isinstance(event, Done) and event.record]
        stack = translate.with_stated_records(stack, stated[0]) if stated else _recorded(stack, record, store)
        return translate.arranged(stack, begins, placed, store) if placed else stack
    except OSError as error:
        raise LayerLost(
            f"A layer of the job {job} is missing or damaged ({error.strerror or error}).",
            "Resubmit the job to draw it again.",
        ) from error


def _recorded(stack: LayerStack, job: JobRecord, store: LayerStore) -> LayerStack:
    """The stack of a job that was drawn before protocol 1.4, with its records.

    Without, if the model or a layer that the job kept is no longer there.
    """
    with contextlib.suppress(EngineError, ProtocolError):
        spec = find_model(job.submit.model)
        return with_records(stack, translate.to_request(job.submit, store), spec, created=job.ended)
    return stack


def _encode(stack: LayerStack, form: ExportFormat, *, prompts: bool) -> bytes:
    if not prompts or os.environ.get(NO_PROMPTS_VARIABLE):
        stack = stack.without_prompts()
    if form == "png":
        return encode_merged(stack)
    with tempfile.TemporaryDirectory() as folder:
        if form == "zip":
            return _zipped(stack, Path(folder) / "layers")
        path = Path(folder) / f"stack.{form}"
        formats.save(stack, path)
        return path.read_bytes()


def _zipped(stack: LayerStack, folder: Path) -> bytes:
    """A folder of PNGs as one file. PNGs are compressed already."""
    formats.save(stack, folder)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())  # without the time: the same bytes again
    return buffer.getvalue()


def main(arguments: list[str]) -> None:
    """Export one job and print the result, or the error, as JSON."""
    database, layers = arguments
    try:
        request = Export.from_map(json.load(sys.stdin.buffer))
        store = LayerStore(Path(layers))
        with contextlib.closing(Database(Path(database), read_only=True)) as opened:
            stack = load_stack(opened, store, request.job, request.layers)
        data = _encode(stack, request.format, prompts=request.prompts)
        answer: dict[str, object] = {"sha256": store.put(data), "bytes": len(data)}
    except (EngineError, ProtocolError) as error:
        answer = {"code": error.code, "message": error.message, "hint": error.hint}
    print(json.dumps(answer))


if __name__ == "__main__":
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="utf-8")
    main(sys.argv[1:])
