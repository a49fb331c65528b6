"""`layerfusion token`: the users of a server that several artists share, each with a token of their own."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from layerfusion.engine.errors import UnwritableFile
from layerfusion.server.cli.console import say
from layerfusion.server.cli.values import number, whole
from layerfusion.server.config import default_folder, users
from layerfusion.server.storage.users import User, Users


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare `token` and its actions."""
    parser.description = (
        "Give every user of a server a token of their own. A user sees and cancels only their own jobs. A running "
        "server notices changes by itself."
    )
    actions = parser.add_subparsers(dest="action", metavar="add|list|revoke", required=True)

    def action(name: str, run: Any, help_text: str) -> Any:
        added = actions.add_parser(name, help=help_text, description=f"{help_text.capitalize()}.")
        added.set_defaults(run=run)
        added.add_argument("--folder", metavar="DIR", help="the server's folder (default: the user's)")
        return added

    add = action("add", run_add, "add a user, and print the new token, which is shown only once")
    add.add_argument("name", metavar="NAME", help="lower-case letters, digits, dots, underscores and hyphens")
    add.add_argument("--out", metavar="FILE", help="write the token to this file in place of the terminal")
    add.add_argument("--admin", action="store_true", help="may see and cancel the jobs of all users")
    waiting = "most waiting jobs (default: the server's, 32)"
    add.add_argument("--waiting-jobs", metavar="N", type=whole(0, 1_000_000), help=waiting)
    uploads = "most gigabytes of uploads in an hour (default: the server's, 4.3)"
    add.add_argument("--upload-gigabytes", metavar="X", type=number(0, 1e6), help=uploads)
    connections = "most connections at the same time (default: the server's)"
    add.add_argument("--connections", metavar="N", type=whole(0, 1_000_000), help=connections)
    action("list", run_list, "list the users and their limits")
    action("revoke", run_revoke, "remove a user, whose connections end").add_argument(
        "name", metavar="NAME", help="as `layerfusion token list` has it"
    )


def run_add(arguments: argparse.Namespace) -> None:
    """Add a user.

    Raises:
        InvalidRequest: the name is taken or not allowed.
        BrokenUsers, UnwritableFile: a file cannot be used.
    """
    gigabytes = arguments.upload_gigabytes
    user = User(
        name=arguments.name,
        admin=arguments.admin,
        waiting_jobs=arguments.waiting_jobs,
        upload_bytes=None if gigabytes is None else int(gigabytes * 1e9),
        connections=arguments.connections,
    )
    if arguments.out is None:
        print(_users(arguments).add(user))
    else:
        _add_into(Path(arguments.out), _users(arguments), user)


def _add_into(path: Path, known: Users, user: User) -> None:
    """Add a user, with the token in a new file that only its owner can read.

    Raises:
        UnwritableFile: the file cannot be made, for example because it is there already. No user is added then.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise UnwritableFile(
            f"“{path}” cannot be made ({error.strerror or error}).", "Give the name of a new file."
        ) from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        try:
            file.write(known.add(user) + "\n")
        except BaseException:
            path.unlink()
            raise
    say(f"{path}  the token of {user.name}")


def run_list(arguments: argparse.Namespace) -> None:
    """Show the users, one a line.

    Raises:
        BrokenUsers: the file cannot be used.
    """
    accounts = _users(arguments).accounts()
    for account in accounts.values():
        limits = [
            *(["admin"] if account.admin else []),
            *([] if account.waiting_jobs is None else [f"{account.waiting_jobs} waiting jobs"]),
            *([] if account.upload_bytes is None else [f"{account.upload_bytes / 1e9:g} GB an hour"]),
            *([] if account.connections is None else [f"{account.connections} connections"]),
        ]
        day = time.strftime("%Y-%m-%d", time.localtime(account.created))
        say(f"{account.name:<32}  since {day}  {', '.join(limits)}".rstrip())
    say(f"{len(accounts)} users, and the owner of the server")


def run_revoke(arguments: argparse.Namespace) -> None:
    """Remove a user. The jobs of the user are kept.

    Raises:
        InvalidRequest: there is no such user.
        BrokenUsers, UnwritableFile: the file cannot be used.
    """
    _users(arguments).revoke(arguments.name)
    say(f"{arguments.name} can no longer connect.")


def _users(arguments: argparse.Namespace) -> Users:
    return Users(users(default_folder() if arguments.folder is None else Path(arguments.folder)))
