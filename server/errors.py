"""What can be wrong with this machine rather than with a request; both end a start in one sentence."""

from __future__ import annotations

from layerfusion.engine.errors import EngineError


class BrokenStore(EngineError):
    """The database of jobs is damaged, or of a newer version. Nothing was changed."""

    code = "broken_store"


class StoreInUse(EngineError):
    """Another server has the folder."""

    code = "store_in_use"
