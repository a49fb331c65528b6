"""One client's connection: it performs the effects of its session and sends the messages of its outbox.

One task receives and one sends. The session decides what to do, the request handler answers, and the layer store keeps
the pixels. This module connects them with the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Set

import msgpack
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from layerfusion.engine.errors import EngineError
from layerfusion.server.net.deposits import Deposits
from layerfusion.server.net.editing_handler import EditingHandler
from layerfusion.server.net.interrupted_uploads import Interrupted, InterruptedUploads
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.net.rate_limits import RateLimits, TokenBucket
from layerfusion.server.net.request_handler import Jobs, RequestHandler
from layerfusion.server.net.rights import Rights
from layerfusion.server.net.session import (
    CLOSE_REFUSED,
    Close,
    Commit,
    Drop,
    Effect,
    Keep,
    Send,
    Session,
)
from layerfusion.server.protocol.errors import (
    LayerLost,
    ProtocolError,
    ServerStopping,
    TokenRevoked,
)
from layerfusion.server.protocol.messages import (
    FetchPixels,
    ReadFile,
    Refused,
    ScaleLayer,
    Upload,
    Uploaded,
    UploadReady,
    UploadRefused,
    Welcome,
)
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import Draft, LayerStore
from layerfusion.server.storage.users import User

logger = logging.getLogger(__name__)

_HELLO_SECONDS = 10.0
_FLUSH_SECONDS = 2.0
_STALL_SECONDS = 60.0
_LOOKS = 6
"""Number of looks in a row that must find the same, so that a pause of this process is no stall of the client."""
_CLOSE_GOING_AWAY = 1001


class Connection:
    """The connection of one client.

    Args:
        socket: the websocket, after the upgrade.
        welcome: the answer to `hello`.
        store: the layer store, for uploads and finished layers.
        jobs: the server's jobs.
        messages: the rate limit of the client's messages.
        uploads: the rate limits of uploads, in bytes, by user, address and client.
        upload_seconds: time for which an upload is kept after the connection without a job.
        interrupted: uploads whose connection was lost.
        user: who connected.

    Attributes:
        user: who connected, with the limits of that time.
    """

    def __init__(
        self,
        socket: ServerConnection,
        *,
        welcome: Welcome,
        store: LayerStore,
        jobs: Jobs,
        messages: TokenBucket,
        uploads: RateLimits,
        upload_seconds: float,
        interrupted: InterruptedUploads,
        user: User,
    ) -> None:
        self._socket = socket
        self._store = store
        self._session = Session(welcome, messages)
        self._jobs = jobs
        self._outbox = Outbox(store)
        self._user = user
        self._rights = Rights(user, self._identity, jobs.scheduler, jobs.database)
        self._deposits = Deposits(
            self._rights,
            uploads,
            self._counted,
            keeper=jobs.keeper,
            scheduler=jobs.scheduler,
            database=jobs.database,
            seconds=upload_seconds,
        )
        self._requests = RequestHandler(jobs, self._outbox, self._rights)
        self._editing = EditingHandler(
            store,
            self._outbox,
            self._rights,
            self._deposits,
            layer_bytes=welcome.limits.layer_bytes,
            reading=jobs.reading,
            scaling=jobs.scaling,
        )
        self._wire = Wire(msgpack.packb, msgpack.unpackb)
        self._interrupted = interrupted
        self._draft: Draft | None = None
        self._sent = 0
        self.user = user

    @property
    def uploaded(self) -> Set[str]:
        """SHA-256 of the layers that the client has uploaded or made; they are not pruned while it is connected."""
        return self._deposits.held

    async def run(self) -> None:
        """Receive and send until the connection ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._send()), tasks.create_task(self._watch())]
                await self._listen()
                for helper in helpers:
                    helper.cancel()
        except* ConnectionClosed:
            logger.info("client %s disconnected", self._socket.id)
        finally:
            self._requests.close()
            self._editing.close()
            self._keep_draft()
            await self._requests.forget()

    async def disconnect(self) -> None:
        """Send the remaining messages and then `refused` with `server_stopping`, and close the connection."""
        error = ServerStopping("The server is being stopped.", "Start it and connect again.")
        self._outbox.put(Refused.of(error))
        await self._close(_CLOSE_GOING_AWAY)

    async def revoke(self) -> None:
        """Send `refused` with `token_revoked` at once, without the remaining messages, and close the connection."""
        self._requests.close()
        self._editing.close()
        self._drop_draft()
        self._interrupted.clear(self._user.name)
        error = TokenRevoked("The token of this user was revoked.", "Ask whoever runs the server for another one.")
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):  # the client may not be reading
                await self._socket.send(self._wire.encode(Refused.of(error)))
        await self._socket.close(CLOSE_REFUSED, error.code)

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                hello = await self._socket.recv()
        except TimeoutError:
            await self._socket.close(CLOSE_REFUSED, "no hello")
            return
        await self._take(hello)
        async for frame in self._socket:
            await self._take(frame)
            await self._outbox.has_room()

    async def _send(self) -> None:
        try:
            while True:
                await self._socket.send(self._wire.encode(self._session.adapted(await self._outbox.next())))
                self._sent += 1
        except OSError as error:  # in the middle of a layer, of which a part is useless
            lost = LayerLost(f"A layer cannot be read ({error.strerror or error}).", "Connect again and resume.")
            await self._socket.send(self._wire.encode(Refused.of(lost)))
            await self._socket.close(CLOSE_REFUSED, lost.code)

    async def _watch(self) -> None:
        """Cut the connection if nothing can be sent for too long, because the client does not read. The library's pings
        would not notice: they wait behind the data. Each byte that leaves counts, so that slow links may be slow."""
        before, still = None, 0.0
        while True:
            await asyncio.sleep(_STALL_SECONDS / _LOOKS)
            waiting = self._socket.transport.get_write_buffer_size()
            now = self._sent, waiting
            still = still + 1 if waiting and now == before else 0
            before = now
            if still >= _LOOKS:
                logger.info("client %s has not read for %g s", self._socket.id, _STALL_SECONDS)
                self._socket.transport.abort()
                return

    async def _close(self, code: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._outbox.emptied()
        await self._socket.close(code)

    async def _discard(self) -> None:
        """Read and ignore further messages, because the client's close frame comes only after them."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.recv()

    # ---- performing the session's effects

    async def _take(self, frame: bytes | str) -> None:
        for effect in self._session.receive(frame):
            await self._perform(effect)

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case Send(message):
                self._outbox.put(message)
            case Close(code):
                await asyncio.gather(self._close(code), self._discard())
            case Upload() | Keep() | Commit():
                await self._receive(effect)
            case Drop():
                self._drop_draft()
            case ReadFile() | ScaleLayer() | FetchPixels():
                await self._editing.serve(effect)
            case _:
                await self._requests.serve(effect)

    async def _receive(self, step: Upload | Keep | Commit) -> None:
        """Perform one step of an upload. Files are written in a thread, because disks may be slow."""
        upload = step if isinstance(step, Upload) else step.upload
        try:
            match step:
                case Upload():
                    await self._begin(upload)
                case Keep(_, data) if self._draft is not None:
                    await asyncio.to_thread(self._draft.write, data)
                case Commit() if self._draft is not None:
                    await self._deposits.record(upload.layer, upload.bytes)
                    await asyncio.to_thread(self._draft.keep, upload.layer)
                    self._drop_draft()
                    self._deposits.finished(upload.layer, upload.bytes)
                    self._outbox.put(Uploaded(transfer=upload.transfer))
                case Keep() | Commit():
                    pass  # the upload was refused at this chunk, because it could not be written
        except (EngineError, ProtocolError) as error:
            self._session.end_upload()
            self._drop_draft()
            self._outbox.put(UploadRefused.of(error, transfer=upload.transfer))

    async def _begin(self, upload: Upload) -> None:
        if not upload.file:  # a file is read soon, and not needed any more afterwards
            self._deposits.held.add(upload.layer)
        if await self._is_there(upload):
            self._session.end_upload()
            self._outbox.put(Uploaded(transfer=upload.transfer))
            return
        begun = self._interrupted.take(self._user.name, upload) if upload.resumes else None
        if begun is not None:
            self._draft = begun.draft
            self._session.go_on(begun.arrival)
        received = 0 if begun is None else begun.arrival.received
        await self._deposits.admit(upload.bytes - received)
        if self._draft is None:
            self._draft = await asyncio.to_thread(self._store.draft)
        self._outbox.put(UploadReady(transfer=upload.transfer, received=received))

    async def _is_there(self, upload: Upload) -> bool:
        """Whether the store has the whole layer, and keeps it from now on."""
        if not await self._rights.may_use(upload.layer):
            return False
        if not await asyncio.to_thread(self._store.is_whole, upload.layer, upload.bytes):
            return False
        await self._deposits.record(upload.layer, upload.bytes)
        return self._store.has(upload.layer)  # it may have been removed before it was recorded

    def _counted(self) -> dict[str, float | None]:
        """The names under which uploads are counted, with own limits: a named user; or the owner's address and, across
        addresses, the program."""
        if self._user.name:
            return {self._user.key(""): self._user.upload_bytes}
        names: dict[str, float | None] = {f"address {self._socket.remote_address[0]}": None}
        if self._session.identity is not None:
            names[f"client {self._session.identity}"] = None
        return names

    def _identity(self) -> str:
        return self._session.identity or str(self._socket.id)

    def _keep_draft(self) -> None:
        """Keep what has arrived of an upload for its client's next connection, if all of it was written."""
        arriving = self._session.arriving
        if self._draft is not None and arriving is not None:
            upload, arrival = arriving
            if upload.resumes and 0 < arrival.received == self._draft.written:
                self._interrupted.keep(self._user.name, upload, Interrupted(arrival, self._draft))
                return
        self._drop_draft()

    def _drop_draft(self) -> None:
        if self._draft is not None:
            self._draft.close()
            self._draft = None
