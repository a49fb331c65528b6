"""What the scheduler needs of whoever draws: a process on this machine, for now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from layerfusion.server.protocol.messages import Message, Submit


class Executor(Protocol):
    """Whoever draws, one job at a time."""

    async def ready(self) -> None:
        """Wait until a job can be taken."""
        ...

    def run(self, submit: Submit) -> AsyncIterator[Message]:
        """Draw one job; one at a time. The messages end with `Done`, `Failed` or `Cancelled`; `seq` is not set yet."""
        ...

    def cancel(self, job: str) -> None:
        """Ask the running job to stop after its step. `run` then ends with `Cancelled`, or as it would have."""
        ...
