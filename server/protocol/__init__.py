"""What is said between the server and its clients. `PROTOCOL.md`, beside this file, is the contract.

Standard library only, in the Python of Krita's oldest bundle (3.10): the Krita plugin carries these very files.

    location    where a client finds the running server and its token
    messages    every message, as a frozen value that is valid or does not exist; greeting, uploads, jobs, results and
                history have them by subject, fields what they are made of
    titles      what a job is called in lists
    frames      chunks of pixels, which travel beside the messages, and the check that they arrived whole
    wire        messages and chunks to bytes and back
    errors      everything that can go wrong between the two sides, each with its code
    schema      how a dataclass checks itself against its annotations
    json_schema the messages as JSON Schema, for clients in other languages
"""

MAJOR = 1
"""Raised when an old peer would misunderstand a new one. Peers of different majors do not talk."""

MINOR = 3
"""Raised when something is added that an old peer may ignore."""
