"""What the scheduler needs of whoever draws, for example a process on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from layerfusion.server.protocol.messages import Message, Submit


class Executor(Protocol):
    """Whoever draws, one job at a time."""

    @property
    def is_ready(self) -> bool:
        """Whether a job can be taken now."""
        ...

    @property
    def model(self) -> str | None:
        """Name of the model that it has in memory or is loading; None if there is none."""
        ...

    async def ready(self) -> None:
        """Wait until a job can be taken."""
        ...

    @property
    def problem(self) -> str | None:
        """Why no job can be taken, if several starts have failed, in one sentence; None while there is hope."""
        ...

    async def failing(self) -> None:
        """Wait until there is a `problem`."""
        ...

    def run(self, submit: Submit) -> AsyncIterator[Message]:
        """Draw one job; one at a time. The messages end with `Done`, `Failed` or `Cancelled`; `seq` is not set yet."""
        ...

    def cancel(self, job: str) -> None:
        """Ask the running job to stop after its step. `run` then ends with `Cancelled`, or as it would have."""
        ...
