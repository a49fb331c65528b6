"""`layerfusion jobs`: what the server keeps, whether it is running or not."""

from __future__ import annotations

import argparse
import contextlib
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from layerfusion.server.cli.console import CommandError, UsageError, list_layers, say
from layerfusion.server.cli.deleting import deleting
from layerfusion.server.cli.targets import OUT, add_content, add_overwrite, check_out, write
from layerfusion.server.cli.values import number, whole
from layerfusion.server.config import ServerConfig, database, default_folder, layers
from layerfusion.server.protocol.errors import ProtocolError
from layerfusion.server.protocol.messages import Cancelled, Event, Failed, Generated, LayerBegin, Notice
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.lock import FolderLock
from layerfusion.server.storage.records import JobRecord
from layerfusion.server.storage.rescue import recover
from layerfusion.server.storage.retention import choose, orphans
from layerfusion.server.worker.export_process import load_stack

_DAY = 24 * 3600.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `jobs` and its actions."""
    parser.description = "Look at, export or delete the jobs a server keeps."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: Any, help_text: str) -> Any:
        added = actions.add_parser(name, help=help_text, description=f"{help_text.capitalize()}.")
        added.set_defaults(run=run)
        added.add_argument("--folder", metavar="DIR", help="the server's folder (default: the user's)")
        return added

    listed = action("list", run_list, "list the newest jobs")
    listed.add_argument("--newest", metavar="N", type=whole(1, 1_000_000), default=50, help="how many (default: 50)")
    action("show", run_show, "show one job").add_argument("job", metavar="JOB", help="its id, or how it begins")
    export = action("export", run_export, "write a finished job to a layered file")
    export.add_argument("job", metavar="JOB", help="its id, or how it begins")
    export.add_argument("out", metavar="OUT", help=OUT)
    add_overwrite(export)
    add_content(export, full_canvas=True)
    deleted = action("delete", run_delete, "delete jobs with their prompts and pictures; nothing brings them back")
    deleted.add_argument("jobs", metavar="JOB", nargs="+", help="their ids, or how they begin")
    released = action("release", run_release, "let a request be drawn again over which the process that draws died")
    released.add_argument("job", metavar="JOB", help="a job with this request: its id, or how it begins")
    pruned = action("prune", run_prune, "forget old jobs; those nobody fetched stay for a week at least")
    pruned.add_argument("--days", metavar="N", type=number(0, 1e6), help="older than so many days (default: 30)")
    gigabytes = "the oldest, until so many gigabytes are left (default: 17)"
    pruned.add_argument("--gigabytes", metavar="X", type=number(0, 1e6), help=gigabytes)
    of_no_job = "also remove files that belong to no job in the list"
    pruned.add_argument("--orphans", action="store_true", help=of_no_job)
    action("recover", run_recover, "rebuild a list of jobs that is damaged or was set aside with its layers")


def run_list(arguments: argparse.Namespace) -> None:
    """Show the newest jobs, one a line, newest first.

    Raises:
        BrokenStore: the list is damaged.
    """
    records = _open(arguments)
    if records is None:
        say("No jobs.")
        return
    jobs = records.outlines(newest=arguments.newest)
    for job in jobs:
        size = f"{job.width}x{job.height}"
        say(f"{job.id}  {job.state:<11}  {_when(job.submitted)}  {size:>9}  {job.layers} layers  {job.title}")
    say(f"{len(jobs)} jobs")


def run_show(arguments: argparse.Namespace) -> None:
    """Show everything about one job.

    Raises:
        UsageError: no such job, or several whose ids begin so.
        BrokenStore: the list is damaged.
    """
    records, job = _find(arguments)
    submit = job.submit
    say(f"job        {job.id}")
    say(f"state      {job.state}{'' if job.fetched is None else ', fetched'}")
    for name, moment in (("submitted", job.submitted), ("started", job.started), ("ended", job.ended)):
        if moment is not None:
            say(f"{name:<10} {_when(moment)}")
    say(f"canvas     {submit.width}x{submit.height} px, model {submit.model}, seed {submit.seed}")
    for name, source in (("background", submit.background), *(("foreground", each) for each in submit.foregrounds)):
        how = "" if isinstance(source, Generated) else f" ({source.kind})"
        say(f"{name:<10} {source.prompt}{how}")
    for event in records.events(job.id):
        say(f"{event.seq:>3}  {_in_words(event)}")


def run_export(arguments: argparse.Namespace) -> None:
    """Write a finished job to a layered file.

    Raises:
        UsageError: no such job, or several whose ids begin so.
        FileError: see `formats.save`.
        CommandError: it is not finished, or a layer is gone.
    """
    check_out(arguments.out, overwrite=arguments.overwrite)
    records, job = _find(arguments)
    try:
        stack = load_stack(records, LayerStore(layers(_folder(arguments))), job.id)
    except ProtocolError as error:
        raise CommandError(str(error)) from error
    list_layers(write(stack, arguments.out, arguments), arguments.out)


def run_delete(arguments: argparse.Namespace) -> None:
    """Delete jobs that are over, with their prompts and pictures, also while the server runs.

    Raises:
        UsageError: no such job, or several whose ids begin so; nothing was deleted.
        CommandError: a job is not over.
        StoreInUse, BrokenStore, UnwritableFile: the folder cannot be used.
    """
    records = _open(arguments)
    with contextlib.ExitStack() as stack:
        if records is not None:
            stack.enter_context(closing(records))
        jobs = [_id(records, named) for named in arguments.jobs]
    with deleting(_folder(arguments)) as delete:
        for job in jobs:
            delete(job)
            say(f"{job} deleted")


def run_release(arguments: argparse.Namespace) -> None:
    """Lift the quarantine of a request, also while the server runs.

    Raises:
        UsageError: no such job, or several whose ids begin so.
        BrokenStore, UnwritableFile: the list cannot be read or written.
    """
    records, job = _find(arguments)
    records.close()
    with closing(Database(database(_folder(arguments)))) as records:
        records.forgive(job.submit)
    say(f"the request of {job.id} may be drawn again: resubmit it")


def run_prune(arguments: argparse.Namespace) -> None:
    """Forget old jobs, also while the server runs, which does this by itself.

    Raises:
        CommandError: the server does not answer.
        StoreInUse: files of no job are to be removed while a server runs.
        BrokenStore, UnwritableFile: the folder cannot be used.
    """
    folder = _folder(arguments)
    defaults = ServerConfig(folder=folder)
    days, gigabytes = arguments.days, arguments.gigabytes
    records = _open(arguments)
    if records is None:
        say("No jobs.")
        return
    with closing(records):
        chosen = choose(
            records,
            max_seconds=defaults.job_seconds if days is None else days * _DAY,
            max_bytes=defaults.store_bytes if gigabytes is None else int(gigabytes * 1e9),
            clock=time.time(),
        )
    with deleting(folder) as delete:
        for job in chosen.jobs:
            delete(job)
    say(f"{len(chosen.jobs)} jobs removed, {chosen.kept} kept, {chosen.bytes / 1e6:.1f} MB")
    _show_orphans(folder, remove=arguments.orphans)


def _show_orphans(folder: Path, *, remove: bool) -> None:
    with contextlib.ExitStack() as stack:
        if remove:
            stack.callback(FolderLock(folder).release)
        records = stack.enter_context(closing(Database(database(folder), read_only=True)))
        store = LayerStore(layers(folder))
        found = orphans(records, store)
        if remove:
            found = {digest: size for digest, size in found.items() if store.remove(digest)}
    if found:
        what = "removed" if remove else "kept; --orphans removes them"
        say(f"{len(found)} files of no job, {sum(found.values()) / 1e6:.1f} MB: {what}")


def run_recover(arguments: argparse.Namespace) -> None:
    """Rebuild a list of jobs from what can be read of it and from its backup, and bring its layers back.

    Raises:
        StoreInUse: a server is running.
        UnreadableFile: there is nothing to recover.
        UnwritableFile: the folder cannot be written.
    """
    folder = _folder(arguments)
    with contextlib.ExitStack() as stack:
        stack.callback(FolderLock(folder).release)
        found = recover(folder)
    say(f"{found.jobs} jobs and {found.layers} layers are back, from {found.source}")
    if found.lost:
        say(f"{found.lost} layers of these jobs are lost")
    if found.left:
        say(f"{found.left} files of no known job stay in {found.source}")


def _folder(arguments: argparse.Namespace) -> Path:
    return default_folder() if arguments.folder is None else Path(arguments.folder)


def _open(arguments: argparse.Namespace) -> Database | None:
    """The list of jobs; None if no server ever ran on the folder."""
    path = database(_folder(arguments))
    return Database(path, read_only=True) if path.exists() else None


def _find(arguments: argparse.Namespace) -> tuple[Database, JobRecord]:
    records = _open(arguments)
    found = None if records is None else records.find(_id(records, arguments.job))
    if records is None or found is None:
        raise UsageError(f"There is no job “{arguments.job}” that this version can read. See “layerfusion jobs list”.")
    return records, found


def _id(records: Database | None, beginning: str) -> str:
    """The id of the one job whose id begins so."""
    found = [] if records is None else records.ids(beginning)
    if not found:
        raise UsageError(f"There is no job “{beginning}”. See “layerfusion jobs list”.")
    if len(found) > 1:
        raise UsageError(f"{len(found)} jobs begin with “{beginning}”. Give more of the id.")
    return found[0]


def _in_words(event: Event) -> str:
    match event:
        case LayerBegin():
            return f"layer {event.index}: {event.name}, {event.width}x{event.height}, {event.sha256}"
        case Notice():
            return f"notice: {event.code}: {event.text}"
        case Failed():
            return f"failed: {event.code}: {event.message} {event.hint}".strip()
        case Cancelled():
            return "cancelled" if event.replaced_by is None else f"cancelled: replaced by {event.replaced_by}"
        case _:
            return event.type


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
