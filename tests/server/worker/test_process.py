"""The code of the worker process with the embedded model. It runs in a thread, because torch is imported here already.

`test_supervisor.py` and `tests/end_to_end/test_server.py` test how the process starts and ends.
"""

import contextlib
import threading
from dataclasses import replace
from multiprocessing import Pipe

import msgpack
import pytest

import samples
from layerfusion.server.protocol.messages import Cancel, Cancelled, Done, Failed, LayerBegin, Progress, is_last
from layerfusion.server.protocol.wire import Wire
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.worker import process
from layerfusion.server.worker.loading import EngineLoader

SECONDS = 100
WIRE = Wire(msgpack.packb, msgpack.unpackb)


class Worker:
    """The supervisor's end of the pipe.

    Args:
        folder: the folder of the store.
    """

    def __init__(self, folder):
        self.store = LayerStore(folder)
        self._pipe, theirs = Pipe()
        self._thread = threading.Thread(target=self._run, args=(theirs, folder))

    def _run(self, pipe, folder):
        with contextlib.suppress(SystemExit):  # so the process ends
            process.main(pipe, folder, EngineLoader(), 0)

    def __enter__(self):
        self._thread.start()
        assert self._receive() == process.READY
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "it ends when the server has gone"

    def _receive(self):
        assert self._pipe.poll(SECONDS)
        return self._pipe.recv_bytes()

    def send(self, message):
        self._pipe.send_bytes(WIRE.encode(message))

    def draw(self, job, at_first_step=lambda: None):
        """All events of a job."""
        self.send(job)
        messages = []
        while not (messages and is_last(messages[-1])):
            messages.append(WIRE.decode(self._receive()))
            if is_drawing(messages[-1]) and sum(map(is_drawing, messages)) == 1:
                at_first_step()
        return messages


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process.signal, "signal", lambda *_: None)  # which only a main thread may set
        patch.setattr(process, "die_with_parent", lambda _: None)  # it is no process of its own
        with Worker(tmp_path_factory.mktemp("layers")) as running:
            yield running


def submit(number, **values):
    return samples.submit(number, **{"steps": 2, **values})


def is_drawing(message):
    return isinstance(message, Progress) and message.stage == "drawing"


def test_draws_into_the_store(worker):
    messages = worker.draw(submit(1))
    layers = [message for message in messages if isinstance(message, LayerBegin)]
    assert replace(messages[-1], record="") == Done(job=submit(1).job, seq=1, layers=len(layers))
    assert sum(is_last(message) for message in messages) == 1
    assert {layer.role for layer in layers} == {"background", "foreground", "shadow", "light", "blended"}
    assert all(len(worker.store.read(layer.sha256)) == layer.bytes for layer in layers)
    assert [message.step for message in messages if is_drawing(message)] == [0, 1, 2]


def test_an_engine_error_reaches_the_client_unchanged(worker):
    *_, last = worker.draw(submit(2, sampler="guesswork"))
    assert isinstance(last, Failed)
    assert last.code == "invalid_request"
    assert "guesswork" in last.message


def test_a_cancelled_job_stops_between_two_steps(worker):
    job = submit(3, steps=150)
    *messages, last = worker.draw(job, at_first_step=lambda: worker.send(Cancel(job=job.job)))
    assert last == Cancelled(job=job.job, seq=1)
    assert max(message.step for message in messages if is_drawing(message)) < 20
    assert not any(isinstance(message, LayerBegin) for message in messages)


def test_a_late_cancel_does_not_hit_the_next_job(worker):
    worker.draw(submit(4))
    worker.send(Cancel(job=submit(4).job))
    assert isinstance(worker.draw(submit(5))[-1], Done)


def test_a_full_disk_fails_the_job(worker):
    drafts = worker.store.folder / "drafts"
    drafts.rename(worker.store.folder / "elsewhere")
    try:
        *_, last = worker.draw(submit(11, seed=77))
    finally:
        (worker.store.folder / "elsewhere").rename(drafts)
    assert last.code == "unwritable_file"


def test_a_cancel_of_another_job_stops_nothing(worker):
    other = Cancel(job=submit(7).job)
    assert isinstance(worker.draw(submit(6), at_first_step=lambda: worker.send(other))[-1], Done)
