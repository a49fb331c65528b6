"""The short form of `fuzz.py`, and tests that it notices errors."""

import pytest

import fuzz
from layerfusion.server.net.session import Session
from layerfusion.server.protocol.errors import BadFrame


def test_hostile_frames_are_refused_by_name_and_leave_nothing_behind(capsys):
    outcomes = fuzz.prove(15_000, seed=1).outcomes
    print(capsys.readouterr().out)
    reached = {outcome.split(",")[0].split(":")[0] for outcome in outcomes}
    assert {"bad_frame", "invalid_message", "unexpected_message", "unsupported_version", "bad_transfer"} <= reached
    assert {"submit", "cancel", "resume", "upload", "keep", "ignored"} <= reached


def test_an_error_that_escapes_is_noticed(monkeypatch, tmp_path):
    def careless(self, chunk):
        raise KeyError(chunk.transfer)

    monkeypatch.setattr(Session, "_receive_chunk", careless)
    with pytest.raises(fuzz.Broken, match="KeyError"):
        fuzz.Attack(tmp_path, seed=1).run(1000)


def test_a_wrong_close_code_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr("layerfusion.server.net.session.CLOSE_REFUSED", 1000)
    with pytest.raises(fuzz.Broken, match="closed with 1000"):
        fuzz.Attack(tmp_path, seed=1).run(1000)


def test_a_refusal_without_a_reason_is_noticed(monkeypatch, tmp_path):
    monkeypatch.setattr(BadFrame, "__init__", lambda self, *_: Exception.__init__(self))
    monkeypatch.setattr(BadFrame, "message", "", raising=False)
    monkeypatch.setattr(BadFrame, "hint", "", raising=False)
    with pytest.raises(fuzz.Broken, match="closed without a reason"):
        fuzz.Attack(tmp_path, seed=1).run(1000)


def test_memory_that_grows_is_noticed(monkeypatch):
    """The kept bytes are counted, because a process with free memory does not grow by small allocations."""
    kept = []
    receive = Session.receive
    monkeypatch.setattr(Session, "receive", lambda self, frame: kept.append(200_000) or receive(self, frame))
    monkeypatch.setattr(fuzz, "resident", lambda: sum(kept))
    monkeypatch.setattr(fuzz, "WARM_UP", 100)
    with pytest.raises(fuzz.Broken, match="memory grew"):
        fuzz.prove(1000, seed=1)


def test_the_memory_of_this_process_can_be_measured():
    found = fuzz.resident()
    assert found is None or found > 10_000_000


def test_the_same_seed_makes_the_same_frames():
    one, two = (fuzz.random.Random(3) for _ in range(2))
    assert [fuzz.frame(one) for _ in range(200)] == [fuzz.frame(two) for _ in range(200)]
