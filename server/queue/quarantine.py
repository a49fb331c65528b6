"""Requests that end the process that draws: tried twice, then refused for a day.

A request is known by what it asks of the machine, whoever asks, under whatever id and with whatever seed.
"""

from __future__ import annotations

from layerfusion.server.protocol.errors import Quarantined
from layerfusion.server.protocol.messages import Failed, Submit
from layerfusion.server.storage.database import Database

DEADLY = 2
"""So many times a request may end the process, before it is not drawn any more."""

_SECONDS = 24 * 3600.0


class Quarantine:
    """Remembers deaths, on disk: each call may wait for it.

    Args:
        database: where they are written down.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def check(self, submit: Submit) -> None:
        """Let a request pass.

        Raises:
            Quarantined: it has ended the process too often.
        """
        deaths = self._database.deaths(submit, _SECONDS)
        if len(deaths) >= DEADLY:
            raise _quarantined(deaths[-1])

    def count(self, submit: Submit, failed: Failed) -> Failed:
        """Note a death, and return the job's last event: from the second on it says that there will be no third."""
        self._database.note_death(submit, failed.message)
        if len(self._database.deaths(submit, _SECONDS)) < DEADLY:
            return failed
        return Failed.of(_quarantined(failed.message), job=submit.job, seq=1)

    def forgive(self, submit: Submit) -> None:
        """It went well after all."""
        self._database.forgive(submit)


def _quarantined(reason: str) -> Quarantined:
    return Quarantined(
        f"Drawing this has ended the process that draws {DEADLY} times: {reason}",
        "It is not tried again for a day; change its size, model, steps or prompts.",
    )
