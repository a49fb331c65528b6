"""What can be wrong with this machine rather than with a request. Each ends a start of the server in one sentence."""

from __future__ import annotations

from layerfusion.engine.errors import EngineError


class BrokenStore(EngineError):
    """The database of jobs is damaged, or of a newer version. Nothing was changed."""

    code = "broken_store"


class StoreInUse(EngineError):
    """Another server has the folder."""

    code = "store_in_use"


class CannotServe(Exception):
    """The server cannot start; the text is for a person."""
