"""Several users on one server: each sees, cancels and gets only what is their own."""

import hashlib
import time
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import scripted
from editing import Editor
from layerfusion.server.client.client import Client, Refusal, new_job
from layerfusion.server.config import users as users_file
from layerfusion.server.net import app as app_module
from layerfusion.server.protocol.messages import (
    Cancelled,
    Done,
    Export,
    FetchFailed,
    FetchSubmission,
    JobList,
    Kept,
    ListJobs,
    Placed,
    ReadFailed,
    ReadFile,
    Submission,
)
from layerfusion.server.storage.users import User, Users
from proving import submit
from running import SECONDS, Running

PIXELS = bytes(range(4)) * 64 * 64


class Shared:
    """A server with users, and clients of them."""

    def __init__(self, server, folder):
        self.server = server
        self.users = Users(users_file(folder))
        self.tokens = {}

    def add(self, name, **limits):
        self.tokens[name] = self.users.add(User(name=name, **limits))

    def runtime(self, name):
        return replace(self.server.runtime, token=self.tokens[name]) if name else self.server.runtime

    def client(self, name=""):
        return Client.connect(self.runtime(name), timeout=SECONDS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory, runtime_file):
    folder = tmp_path_factory.mktemp("jobs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "_REVOKE_SECONDS", 0.05)
        with Running(folder, scripted.load, max_connections=16) as server:
            made = Shared(server, folder)
            for name, limits in [("ada", {}), ("eve", {}), ("admin", {"admin": True}), ("small", {"waiting_jobs": 1})]:
                made.add(name, **limits)
            yield made


@pytest.fixture(scope="module")
def drawn(shared):
    """A finished job of ada's."""
    job = submit()
    with shared.client("ada") as ada:
        ada.submit(job)
        assert isinstance(list(ada.events(job.job))[-1], Done)
    return job


def code_of(call, *arguments, **options):
    with pytest.raises(Refusal) as refused:
        call(*arguments, **options)
    return refused.value.code


def test_the_welcome_names_the_user(shared):
    for name in ["", "ada", "admin"]:
        with shared.client(name) as client:
            assert client.welcome.user == name


def test_users_list_their_own_jobs_only(shared, drawn):
    seen = {}
    for name in ["", "ada", "eve", "admin"]:
        with shared.client(name) as client:
            seen[name] = drawn.job in {job.job for job in client.jobs()}
    assert seen == {"": True, "ada": True, "eve": False, "admin": True}


def test_who_sees_all_jobs_can_list_those_that_are_their_own(shared, drawn):
    jobs = {"ada": drawn.job}
    for name in ["", "admin"]:
        job = submit()
        with shared.client(name) as client:
            client.submit(job)
        jobs[name] = job.job
    for name, own in jobs.items():
        with shared.client(name) as client:  # a further program of the same user
            client._send(ListJobs(newest=1000, own=True))
            answer = client._next(lambda item: isinstance(item, JobList))
            assert isinstance(answer, JobList)
            listed = {each.job for each in answer.jobs}
        assert own in listed and listed.isdisjoint(set(jobs.values()) - {own})


def test_a_submission_is_told_to_the_user_whose_it_is(shared, drawn):
    def asked(name):
        with shared.client(name) as client:
            client._send(FetchSubmission(job=drawn.job))
            return client._next(lambda item: isinstance(item, (Submission, FetchFailed)))

    for name in ["ada", "admin", ""]:
        assert asked(name) == Submission(job=drawn.job, submit=drawn)
    refused = asked("eve")
    assert isinstance(refused, FetchFailed)
    assert (refused.code, refused.message) == ("unknown_job", f"There is no job {drawn.job}.")


def test_another_users_job_does_not_exist(shared, drawn):
    """The answers are those for an id that there is not, so that an id cannot be probed."""
    for job in [drawn.job, new_job()]:
        with shared.client("eve") as eve:
            assert code_of(eve.resume, job) == "unknown_job"
            assert code_of(eve.fetch, job, 0) == "unknown_job"
            assert code_of(eve.export, job, "png") == "unknown_job"
            assert code_of(eve.resubmit, new_job(), of=job) == "unknown_job"
            eve.cancel(job)
            failed = eve._next(lambda item: getattr(item, "code", None) == "unknown_job")
            assert failed.message == f"There is no job {job}."
            eve.acknowledge(job, 99)
            eve.delete(job)  # the answer is the same, but nothing was deleted
    with shared.client("ada") as ada:
        (found,) = [each for each in ada.jobs() if each.job == drawn.job]
        assert (found.state, found.fetched) == ("finished", False)
        assert ada.fetch(drawn.job, 0).pixels


def test_the_same_message_of_another_user_gets_nothing(shared, drawn):
    with shared.client("eve") as eve:
        assert code_of(eve.submit, drawn) == "job_exists"


def test_a_running_job_is_cancelled_by_its_user_or_an_admin_only(shared):
    for name in ["ada", "admin"]:
        job = submit("seconds=0.1", steps=150)
        with shared.client("ada") as ada, shared.client("eve") as eve, shared.client(name) as other:
            ada.submit(job)
            events = ada.events(job.job)
            next(events)
            eve.cancel(job.job)
            eve._next(lambda item: getattr(item, "code", None) == "unknown_job")
            next(event for event in events if getattr(event, "step", 0) >= 1)
            other.cancel(job.job)
            assert isinstance(list(events)[-1], Cancelled)


def test_who_knows_the_sha256_of_a_layer_does_not_get_the_layer(shared):
    """The store has each layer once; a submission or an upload must not hand out what another user has uploaded."""
    digest = hashlib.sha256(PIXELS).hexdigest()
    kept = Kept(layer=digest, width=64, height=64, name="secret", prompt="x")
    stolen = submit(foregrounds=(kept,))
    with shared.client("ada") as ada, shared.client("eve") as eve:
        ada.upload(PIXELS)
        assert code_of(eve.submit, stolen) == "unknown_layer"
        sent = []
        send = eve._send
        eve._send = lambda item: (sent.append(item), send(item))
        eve.upload(PIXELS)
        assert len(sent) > 1, "the server said that it has the layer already"
        eve.submit(stolen)
    with shared.client("eve") as eve:  # on another connection it is known from the job
        eve.submit(submit(foregrounds=(kept,)))


def test_who_knows_the_sha256_of_a_layer_cannot_fetch_scale_read_or_save_it(shared, drawn):
    with shared.client("ada") as ada, shared.client("eve") as eve:
        digest, own = ada.upload(bytes([9]) * len(PIXELS)), submit()
        eve.submit(own)
        list(eve.events(own.job))
        editor = Editor(eve)
        assert editor.pixels(digest, 64, 64).code == "unknown_layer"
        assert editor.scale(digest, (64, 64), (9, 9)).code == "unknown_layer"
        eve._send(ReadFile(file=digest, name="a.psd"))
        assert editor.answer(ReadFailed).code == "unknown_layer"
        layer = Placed(layer=digest, width=64, height=64, name="secret", role="foreground")
        eve._send(Export(job=own.job, format="psd", layers=(layer,)))
        assert editor.answer(FetchFailed).code == "unknown_layer"


def test_what_a_client_has_uploaded_is_its_own_over_the_next_connection_too(shared):
    pixels = bytes([11]) * len(PIXELS)
    with shared.client("ada") as ada:
        digest = ada.upload(pixels)
    with shared.client("eve") as eve:
        assert Editor(eve).pixels(digest, 64, 64).code == "unknown_layer"
    with shared.client("ada") as again:
        assert Editor(again).pixels(digest, 64, 64).tobytes() == pixels
        assert digest in shared.server.app._uploaded(), "it is kept as long as its client works with it"


def test_limits_are_a_users_own(shared):
    with shared.client("ada") as ada, shared.client("small") as small:
        assert (ada.welcome.limits.waiting_jobs, small.welcome.limits.waiting_jobs) == (32, 1)
        ada.submit(submit("seconds=0.1", steps=150))  # until it is cancelled below
        small.submit(submit())
        assert code_of(small.submit, submit()) == "queue_full"
        with shared.client("small") as again:  # another connection is no way around
            assert code_of(again.submit, submit()) == "queue_full"
        for job in ada.jobs():
            ada.cancel(job.job)


def test_connections_are_limited_for_each_user(shared):
    shared.add("narrow", connections=1)
    with shared.client("narrow"):
        with pytest.raises(InvalidStatus) as refused:
            shared.client("narrow")
        assert refused.value.response.status_code == 503
        shared.client("ada").close()


def test_uploads_are_limited_for_each_user(shared):
    shared.add("slow", upload_bytes=20_000)
    with shared.client("slow") as slow:
        slow.upload(bytes(16_384))
        assert code_of(slow.upload, b"\1" * 16_384) == "quota_exceeded"
    with shared.client("slow") as slow:
        assert code_of(slow.upload, b"\1" * 16_384) == "quota_exceeded"
    with shared.client("ada") as ada:
        ada.upload(b"\1" * 16_384)


def test_a_revoked_token_ends_the_connection_and_opens_none(shared):
    shared.add("gone")
    with shared.client("gone") as gone:
        job = submit("seconds=0.2", steps=150)
        gone.submit(job)
        shared.users.revoke("gone")
        with pytest.raises((Refusal, ConnectionClosed)) as refused:
            list(gone.events(job.job))
        assert getattr(refused.value, "code", "token_revoked") == "token_revoked"
    with pytest.raises(InvalidStatus) as status:
        shared.client("gone")
    assert status.value.response.status_code == 401
    with shared.client("admin") as admin:
        admin.cancel(job.job)


def test_a_damaged_file_of_users_locks_out_all_but_the_owner(shared):
    before = shared.users.path.read_bytes()
    try:
        shared.users.path.write_text("{")
        with pytest.raises(InvalidStatus) as status:
            shared.client("ada")
        assert status.value.response.status_code == 401
        shared.client().close()
    finally:
        shared.users.path.write_bytes(before)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            shared.client("ada").close()
            break
        except InvalidStatus:
            assert time.monotonic() < deadline


def test_the_status_shows_a_users_own_jobs(shared, drawn):
    from layerfusion.server.client import browser

    seen = {name: browser.status(shared.runtime(name)) for name in ["ada", "eve", "admin"]}
    assert {name: drawn.job in [job["job"] for job in found["jobs"]] for name, found in seen.items()} == {
        "ada": True,
        "eve": False,
        "admin": True,
    }
