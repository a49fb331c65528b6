"""The server from start to stop: it listens, announces its address, runs the scheduler and the workers, and closes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import sys
from dataclasses import replace
from http import HTTPStatus
from importlib import metadata
from typing import Any
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response

from layerfusion.engine.errors import EngineError
from layerfusion.server import logs, translate
from layerfusion.server.config import ServerConfig, browsers, users
from layerfusion.server.errors import CannotServe
from layerfusion.server.net import tls
from layerfusion.server.net.access import AccessPolicy, Refusal
from layerfusion.server.net.announce import alone, announce, stay_announced
from layerfusion.server.net.browsers import Browsers
from layerfusion.server.net.connection import Connection
from layerfusion.server.net.file_limit import allow_files
from layerfusion.server.net.housekeeping import Housekeeper
from layerfusion.server.net.http import HttpAnswers, refused, response
from layerfusion.server.net.interrupted_uploads import InterruptedUploads
from layerfusion.server.net.listen import address, listen
from layerfusion.server.net.monitor import Monitor
from layerfusion.server.net.rate_limits import RateLimits, TokenBucket
from layerfusion.server.net.request_handler import Jobs
from layerfusion.server.net.signals import stopping
from layerfusion.server.protocol import MAJOR, MINOR, location
from layerfusion.server.protocol.messages import Welcome
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.users import BrokenUsers, User, Users
from layerfusion.server.worker.executors import make_executors
from layerfusion.server.worker.loading import Load

logger = logging.getLogger(__name__)

_REVOKE_SECONDS = 2.0


def serve(config: ServerConfig) -> int:
    """Run a server until Ctrl-C, Ctrl-Break or SIGTERM, and return the exit code. Call it in the main thread only."""
    try:
        with _logging(config):
            allow_files(config.max_connections)
            gc.freeze()  # modules live as long as the process; the collector need not look at them in the event loop
            asyncio.run(_serve(config))
    except (CannotServe, EngineError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def _logging(config: ServerConfig) -> contextlib.AbstractContextManager[None]:
    if config.log is not None:
        return logs.into_file(config.log, config.log_level)
    logs.start(level=config.log_level)
    return contextlib.nullcontext()


async def _serve(config: ServerConfig) -> None:
    app = App(config)
    with stopping(app.stop):
        await app.run()


class App:
    """One server. Create it inside the event loop that runs it.

    Args:
        config: its settings.
        load: makes the pipeline for a model's name, in every worker process; by default the engine's, each worker with
            its own device.

    Attributes:
        version: version of the program.
        runtime: the content of the runtime file; None before the server listens.

    Raises:
        BrokenModel: a model's manifest cannot be read.
        InvalidRequest: the certificate cannot be used.
    """

    def __init__(self, config: ServerConfig, load: Load | None = None) -> None:
        self.version = metadata.version("layerfusion")
        self._config = config
        self._load = load
        self._keeper = Housekeeper(config, self._uploaded)
        self._welcome = Welcome(
            protocol=(MAJOR, MINOR),
            version=self.version,
            instance=secrets.token_hex(8),
            models=translate.model_infos(),
            limits=translate.limits(config),
            codecs=("raw",),
        )
        self._token = config.token or secrets.token_urlsafe(32)
        self._tls = None if config.tls_cert is None else tls.server_context(config.tls_cert, config.tls_key)
        self._uploads = RateLimits(config.upload_bytes / 3600, config.upload_bytes)
        self._interrupted = InterruptedUploads(config.upload_seconds)
        self._users = Users(users(config.folder), self._token)
        self._visitors: WeakKeyDictionary[ServerConnection, User] = WeakKeyDictionary()
        self._http: HttpAnswers | None = None
        self._connections: set[Connection] = set()
        self._stopping = asyncio.Event()
        self.runtime: location.Runtime | None = None

    def stop(self) -> None:
        """Make `run` end."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`.

        Raises:
            CannotServe: a server of this user is running already, the port is taken, or the runtime file cannot be
                written.
            StoreInUse, BrokenStore, UnwritableFile: the folder cannot be used.
        """
        async with contextlib.AsyncExitStack() as stack:
            hold = alone()
            await asyncio.to_thread(hold.__enter__)
            stack.push(hold)
            await self._open(stack)
            stack.callback(self._interrupted.clear)
            server = await listen(self._config, self._converse, self._admit, self._tls)
            self._set_up_access(address(server)[1])
            await server.start_serving()
            stack.push_async_callback(self._disconnect, server)
            for worker in self._workers:
                await stack.enter_async_context(worker)
            tasks = [
                asyncio.create_task(work)
                for work in (self._stopping.wait(), self._scheduler.run(), self._keeper.run(), self._watch_users())
            ]
            stack.push_async_callback(_end, tasks)
            stack.push_async_callback(self._scheduler.drain, self._config.drain_seconds)
            self.runtime = announce(server, self._config, self._token, self.version)
            stack.callback(location.remove, self.runtime)
            stack.push_async_callback(_end, [asyncio.create_task(stay_announced(self.runtime))])
            _say(f"Listening on {self.runtime.url}")
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            _say("Stopping")

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Lock and open the folder, recover the jobs of the last server, and set up the scheduler and the workers."""
        config = self._config
        await asyncio.to_thread(self._keeper.__enter__)
        stack.push(self._keeper)
        self._store, self._database = self._keeper.store, self._keeper.database
        self._workers = await make_executors(config, self._store, self._load, stack)
        self._scheduler = Scheduler(
            self._workers,
            self._database,
            waiting_jobs=config.waiting_jobs,
            all_waiting_jobs=config.all_waiting_jobs,
            make_room=self._keeper.make_room,
            wrote=self._keeper.wrote,
        )
        stack.callback(self._scheduler.close)
        await self._scheduler.recover()
        self._monitor = Monitor(
            config,
            self._scheduler,
            self._database,
            self._workers,
            connected=lambda: len(self._connections),
            stored=lambda: self._keeper.used,
            version=self.version,
        )
        self._jobs = Jobs(
            self._scheduler,
            self._database,
            self._store,
            self._keeper,
            uploads=self._uploaded,
            exporting=asyncio.Lock(),
            checking=asyncio.Lock(),
            showing=asyncio.Lock(),
            reading=asyncio.Lock(),
            scaling=asyncio.Lock(),
        )

    def _set_up_access(self, port: int) -> None:
        config, encrypted = self._config, self._tls is not None
        self._browsers = Browsers(self._users, browsers(config.folder))
        self._access = AccessPolicy(
            port, self._users, self._browsers, config.origins, config.names, encrypted=encrypted
        )
        self._http = HttpAnswers(
            self._access,
            self._browsers,
            line=self._line,
            monitor=self._monitor,
            encrypted=encrypted,
        )

    def _line(self) -> str:
        """The answer to `GET /`: what this is, and why it cannot draw if it cannot."""
        problem = self._scheduler.problem
        return f"layerfusion {self.version}, {len(self._connections)} connected\n" + (f"{problem}\n" if problem else "")

    async def _disconnect(self, server: Server) -> None:
        """Send every client its remaining messages, close all connections, and stop listening."""
        await asyncio.gather(*(connection.disconnect() for connection in self._connections))
        server.close()
        await server.wait_closed()

    def _uploaded(self) -> frozenset[str]:
        """SHA-256 of the layers that connected clients have uploaded."""
        return frozenset().union(*(connection.uploaded for connection in self._connections))

    async def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        """The response to an HTTP request before the upgrade; None allows the upgrade."""
        assert self._http is not None
        refusal = self._access.check_address(request.headers, socket.local_address[0])
        if refusal is not None:
            return refused(refusal)
        if "Upgrade" not in request.headers:
            return await self._http.answer(request)
        user = self._access.user(request.headers, upgrade=True)
        if isinstance(user, Refusal):
            return refused(user)
        if request.path != "/":
            return response(HTTPStatus.NOT_FOUND, "The path of the websocket is “/”.\n")
        if self._stopping.is_set() or self._is_crowded(user):
            return response(HTTPStatus.SERVICE_UNAVAILABLE, "The server accepts no more connections.\n")
        self._visitors[socket] = user
        return None

    def _is_crowded(self, user: User) -> bool:
        """Whether the server or the user has as many connections as allowed."""
        theirs = sum(connection.user.name == user.name for connection in self._connections)
        most = self._config.max_connections
        return len(self._connections) >= most or theirs >= (most if user.connections is None else user.connections)

    async def _watch_users(self) -> None:
        """End the connections of users whose token was revoked."""
        broken = False
        while True:
            await asyncio.sleep(_REVOKE_SECONDS)
            try:
                revoked = [each for each in self._connections if self._users.by_name(each.user.name) != each.user]
            except BrokenUsers as error:
                if not broken:
                    logger.error("the users cannot be read: %s", error)
                broken = True
            else:
                broken = False
                await asyncio.gather(*(connection.revoke() for connection in revoked), return_exceptions=True)

    async def _converse(self, socket: ServerConnection) -> None:
        user = self._visitors[socket]
        limits = self._welcome.limits
        if user.waiting_jobs is not None:
            limits = replace(limits, waiting_jobs=user.waiting_jobs)
        connection = Connection(
            socket,
            welcome=replace(self._welcome, user=user.name, limits=limits, problem=self._scheduler.problem or ""),
            store=self._store,
            jobs=self._jobs,
            messages=TokenBucket(self._config.message_rate, self._config.message_burst),
            uploads=self._uploads,
            upload_seconds=self._config.upload_seconds,
            interrupted=self._interrupted,
            user=user,
        )
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal was closed
        print(text, flush=True)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that still run, and raise the exception of one that failed."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
