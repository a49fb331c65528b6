"""What the server says in words, in the artist's language: the protocol names each error by a code.

The server speaks English, because it does not know who reads. Its own words say more, such as the value that is wrong,
so that they are shown to those who have chosen English, and after the translation where they are needed.
"""

from __future__ import annotations

from . import translation
from .protocol.fields import Explained
from .translation import joined, mark, tr

_MISUNDERSTOOD = mark("The server and this program did not understand each other."), mark("Please report it."), True

ERRORS = {
    "bad_frame": _MISUNDERSTOOD,
    "bad_transfer": _MISUNDERSTOOD,
    "broken_model": (
        mark("The files of the model are damaged."),
        mark("Download the model again, or choose another one."),
        True,
    ),
    "broken_store": (mark("The server's list of pictures is damaged."), mark("Run: layerfusion jobs recover"), True),
    "cannot_draw": (
        mark("The server cannot draw now, because the process that draws does not start."),
        mark("See what the server says in its terminal or log."),
        True,
    ),
    "download_failed": (
        mark("The model could not be downloaded."),
        mark("Check the connection to the internet, or choose another model."),
        True,
    ),
    "internal_error": (
        mark("An error occurred in the server."),
        mark("Please report it; the server's log says more."),
        True,
    ),
    "interrupted": (mark("The server stopped while it was drawing this picture."), mark("Draw it again."), False),
    "invalid_layer": (mark("A layer of this picture cannot be used as it is."), "", True),
    "invalid_message": _MISUNDERSTOOD,
    "invalid_request": (mark("The picture cannot be drawn with these values."), "", True),
    "job_exists": _MISUNDERSTOOD,
    "layer_lost": (
        mark("A layer of this picture is lost or damaged on the server's disk."),
        mark("Draw it again."),
        False,
    ),
    "not_finished": (mark("The picture is not finished yet."), mark("Wait until it is, or cancel it."), False),
    "out_of_memory": (
        mark("The picture does not fit into the memory of the server's computer."),
        mark("Make it smaller, or draw fewer foregrounds at once."),
        False,
    ),
    "quarantined": (
        mark("The process that draws has ended more than once over this picture, so it is not tried again."),
        mark("Change the prompts or the settings."),
        False,
    ),
    "queue_full": (
        mark("Too many of your pictures are waiting."),
        mark("Wait until some of them are drawn, or cancel some."),
        False,
    ),
    "quota_exceeded": (
        mark("You have uploaded as much as the server allows in an hour."),
        mark("Wait a while, or use smaller layers."),
        False,
    ),
    "server_stopping": (mark("The server is stopping."), mark("Try again when it runs again."), False),
    "store_full": (
        mark("The server has no room for further pictures."),
        mark("Delete pictures that you no longer need."),
        False,
    ),
    "style_exists": (mark("Another style has this name."), mark("Choose another name."), False),
    "token_revoked": (
        mark("You may no longer use this server."),
        mark("Ask the person who runs it for a new token."),
        False,
    ),
    "too_fast": (mark("Too many messages were sent at once."), mark("Wait a moment, and try again."), False),
    "too_large": (mark("A layer or file is too large for the server."), mark("Make it smaller."), True),
    "too_many_styles": (mark("There are as many styles as there may be."), mark("Delete one of them."), False),
    "unexpected_message": _MISUNDERSTOOD,
    "unknown_job": (mark("The server does not have this picture any more."), mark("Draw it again."), False),
    "unknown_layer": (mark("The server does not have a layer of this picture."), mark("Draw it again."), True),
    "unknown_model": (mark("The server does not have this model."), mark("Choose another model."), True),
    "unreadable_file": (mark("The file cannot be read."), "", True),
    "unsupported_version": (
        mark("The server has another version than this program."),
        mark("Update the older one of them."),
        True,
    ),
    "unwritable_file": (
        mark("The server cannot write to its disk."),
        mark("Make room on it, or let the server write there."),
        True,
    ),
    "worker_died": (mark("The process that draws has ended unexpectedly."), mark("Draw it again."), True),
    "worker_hung": (
        mark("The process that draws made no step for too long and was stopped."),
        mark("Draw it again."),
        False,
    ),
}
"""Code -> message, hint, and whether the server's words are needed, too."""


def told(problem: Explained) -> tuple[str, str]:
    """Message and hint about a problem, in the artist's language; the server's own in English, and for a code that this
    version does not know."""
    if translation.current() == "en" or problem.code not in ERRORS:
        return problem.message, problem.hint
    message, hint, needs_more = ERRORS[problem.code]
    more = tr("The server says: {words}", words=f"{problem.message} {problem.hint}".strip()) if needs_more else ""
    return tr(message), joined([tr(hint) if hint else "", more])
