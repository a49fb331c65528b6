"""Drawing jobs one after the other, with the model that was used last in memory; in whatever process that happens."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator

from layerfusion.engine.errors import EngineError
from layerfusion.engine.inspection.records import MaskRecord
from layerfusion.server import translate
from layerfusion.server.protocol.errors import InternalError, ProtocolError
from layerfusion.server.protocol.messages import Cancelled, Done, Failed, Message, Submit
from layerfusion.server.worker.loading import Load, Pipeline

logger = logging.getLogger(__name__)


class Drawer:
    """Draws jobs. At most one may be in progress.

    Args:
        store: where uploaded layers are read and finished ones are written.
        load: makes the pipeline of a model.
    """

    def __init__(self, store: translate.Store, load: Load) -> None:
        self._store = store
        self._load = load
        self._loaded: tuple[str, Pipeline] | None = None

    def draw(self, submit: Submit, is_cancelled: Callable[[], bool]) -> Generator[Message, None, None]:
        """Draw a job and yield its messages, whose `seq` is not set. The last is `Done`, `Failed` or `Cancelled`.

        Args:
            submit: the job.
            is_cancelled: is asked after each message whether to stop.
        """
        try:
            request = translate.to_request(submit, self._store)
            record = MaskRecord() if submit.masks else None
            with contextlib.closing(self._pipeline(request.model).generate(request, record)) as events:
                for event in events:
                    if record is not None:
                        yield from _recorded(submit.job, record)
                    message = translate.from_event(submit.job, event, self._store)
                    yield message
                    if isinstance(message, Done):
                        return
                    if is_cancelled():
                        yield Cancelled(job=submit.job, seq=1)
                        return
            raise InternalError("The engine stopped without finishing.")
        except (EngineError, ProtocolError) as error:
            yield Failed.of(error, job=submit.job, seq=1)
        except Exception as error:
            logger.exception("job %s failed", submit.job)
            bug = InternalError(f"The engine failed: {type(error).__name__}.", "The server's log has the details.")
            yield Failed.of(bug, job=submit.job, seq=1)

    def _pipeline(self, model: str) -> Pipeline:
        if self._loaded is None or self._loaded[0] != model:
            self._loaded = None  # two models at once may not fit into memory
            self._loaded = model, self._load(model)
        return self._loaded[1]


def _recorded(job: str, record: MaskRecord) -> Generator[Message, None, None]:
    """The messages of the steps that were recorded since the last call; the record is emptied."""
    steps, record.steps = record.steps, []
    for step in steps:
        yield translate.from_masks(job, step, record.train_timesteps)
