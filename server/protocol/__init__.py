"""The protocol between the server and its clients, which `PROTOCOL.md` in this folder specifies.

These files use the standard library only, and the syntax of Python 3.10, because they are copied into the Krita plugin,
and some of Krita's bundles have that version.

    location    the runtime file, by which a client finds the running server and its token
    messages    all messages, as frozen and validated values. They are defined by subject in greeting, uploads, jobs,
                results, history, styles and editing; the types of their fields are in fields
    titles      the title of a job in lists
    frames      chunks of pixels, and the check that a transfer is complete
    wire        encoding and decoding of messages and chunks
    errors      all errors between client and server, each with its code
    schema      validation of dataclasses by their annotations
    json_schema the messages as JSON Schema, for clients in other languages
"""

MAJOR = 1
"""Increased by a change that an older peer would misunderstand. Peers with different majors refuse each other."""

MINOR = 6
"""Increased by an addition that an older peer may ignore."""
