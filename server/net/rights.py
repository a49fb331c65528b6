"""What one client may see and use: the jobs and layers of its own user; for an admin, those of all users.

To everybody else a job of another user does not exist: the answers are those for an unknown id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layerfusion.server.protocol.errors import JobExists, UnknownJob, UnknownLayer
from layerfusion.server.protocol.messages import Existing, Submit
from layerfusion.server.queue.job import Job
from layerfusion.server.queue.scheduler import Scheduler
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.users import User


class Rights:
    """The rights of one connection.

    Args:
        user: who connected.
        identity: returns the identity of the client, which is known after `hello`.
        scheduler, database: the server's jobs.

    Attributes:
        user: who connected.
        uploaded: SHA-256 of the layers that this client has uploaded completely.
    """

    def __init__(self, user: User, identity: Callable[[], str], scheduler: Scheduler, database: Database) -> None:
        self.user = user
        self._identity = identity
        self._scheduler = scheduler
        self._database = database
        self.uploaded: set[str] = set()

    @property
    def client(self) -> str:
        """The client's key in the queue, for its limits, and in the list of jobs; see `User.key`."""
        return self.user.key(self._identity())

    def listed(self, own: bool) -> dict[str, Any]:
        """The jobs to list, as arguments of `Database.outlines`.

        Args:
            own: whether only the user's own jobs are wanted.
        """
        if not self.user.admin or (own and self.user.name):
            return {"client": self.client}
        return {"owners": own}

    async def find(self, job_id: str) -> Job:
        """The job with the given id, whether it is over or not.

        Raises:
            UnknownJob: there is no such job, or it is another user's.
        """
        job = await self._scheduler.find(job_id)
        if not self.user.may_see(job.client):
            raise UnknownJob(
                f"There is no job {job_id}.", "The server never had it or has deleted it: submit it again."
            )
        return job

    def check_own(self, jobs: list[Job]) -> list[Job]:
        """The jobs, if this client may see all of them.

        Raises:
            JobExists: one is another user's, who happens to have sent the same message.
        """
        for job in jobs:
            if not self.user.may_see(job.client):
                raise JobExists(f"The id {job.id} belongs to another job.", "Make a new id for each job.")
        return jobs

    async def may_use(self, layer: str) -> bool:
        """Whether the client has uploaded a layer, also over an earlier connection, or has it from an own job.

        The server knows a layer by its SHA-256. Who only knows the SHA-256 of another user's layer must not get it.
        """
        if self.user.admin or layer in self.uploaded:
            return True
        return await self._scheduler.on_disk(self._has, layer)

    def _has(self, layer: str) -> bool:
        return self._database.has_file(self.client, layer) or self._database.has_loose(self.client, layer)

    async def check_layers(self, submit: Submit) -> None:
        """
        Raises:
            UnknownLayer: the submission has a layer that the client may not use.
        """
        for source in submit.sources:
            if isinstance(source, Existing):
                await self.check_layer(source.layer, source.name)

    async def check_layer(self, layer: str, name: str) -> None:
        """
        Raises:
            UnknownLayer: the client may not use this layer.
        """
        if not await self.may_use(layer):
            raise UnknownLayer(f"The layer “{name}” is not on the server.", "Upload it before the job.")
