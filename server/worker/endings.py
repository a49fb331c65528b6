"""How a job ends whose worker did not end it."""

from __future__ import annotations

from layerfusion.server.protocol.errors import WorkerDied, WorkerHung


def died(ending: str) -> WorkerDied:
    """The error of a job whose worker died; `ending` says how, for example "signal 9"."""
    return WorkerDied(
        f"The process that draws died during the job ({ending}).",
        "A new one is starting: try again, with a smaller canvas if the machine ran out of memory.",
    )


def hung(seconds: float) -> WorkerHung:
    """The error of a job that sent no message for so many seconds, so that its worker was ended. It does not count as a
    death: a card may be slow, and a machine may have slept."""
    return WorkerHung(
        f"The process that draws made no step for {seconds:g} seconds and was stopped.",
        "A new one is starting: try again, with a smaller canvas or fewer steps.",
    )
