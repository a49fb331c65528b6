"""Quarantine of requests that make the worker process die: they are drawn twice, then refused for a day.

Requests that differ only in client, ids and seeds count as the same request.
"""

from __future__ import annotations

from layerfusion.server.protocol.errors import Quarantined
from layerfusion.server.protocol.messages import Failed, Submit
from layerfusion.server.storage.database import Database

MAX_DEATHS = 2
"""Number of the worker's deaths after which a request is not drawn any more."""

_SECONDS = 24 * 3600.0


class Quarantine:
    """Records the worker's deaths on disk; each call may wait for the disk.

    Args:
        database: where they are written down.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, submit: Submit) -> None:
        """Refuse a request over which the worker died too often.

        Raises:
            Quarantined: it is such a request.
        """
        deaths = self._database.deaths(submit, _SECONDS)
        if len(deaths) >= MAX_DEATHS:
            raise _quarantined(deaths[-1])

    def count(self, submit: Submit, failed: Failed) -> Failed:
        """Record a death and return the job's last event: `failed`, or from the second death on one that says that the
        request is quarantined."""
        self._database.note_death(submit, failed.message)
        if len(self._database.deaths(submit, _SECONDS)) < MAX_DEATHS:
            return failed
        return Failed.of(_quarantined(failed.message), job=submit.job, seq=1)

    def forgive(self, submit: Submit) -> None:
        """Delete the record of a request, because it was drawn successfully."""
        self._database.forgive(submit)


def _quarantined(reason: str) -> Quarantined:
    return Quarantined(
        f"The process that draws has died {MAX_DEATHS} times over this request: {reason}",
        "It is refused for a day: change its size, steps or prompts, or run “layerfusion jobs release” with its id.",
    )
