"""Errors that prevent the server from starting."""

from __future__ import annotations

from layerfusion.engine.errors import EngineError


class BrokenStore(EngineError):
    """The database of jobs is damaged or has a newer version. It was not changed."""

    code = "broken_store"


class StoreInUse(EngineError):
    """Another server uses the folder."""

    code = "store_in_use"


class CannotServe(Exception):
    """The server cannot start. The text is shown to the user."""
