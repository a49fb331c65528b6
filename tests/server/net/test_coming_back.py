"""Jobs on a server with a scripted engine: variants, replacement, fetch, export, deletion."""

import hashlib
import io
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from conversing import draw, layers, receive, submit
from layerfusion.engine import formats
from layerfusion.server.client.client import Layer, Refusal, new_job
from layerfusion.server.protocol import location
from layerfusion.server.protocol.errors import BadTransfer
from layerfusion.server.protocol.frames import Arrival, Chunk
from layerfusion.server.protocol.messages import (
    Ack,
    Cancelled,
    Done,
    Export,
    Fetch,
    FetchFailed,
    FetchSubmission,
    FetchThumbnail,
    FileBegin,
    FileEnd,
    Generated,
    JobList,
    Kept,
    ListJobs,
    Move,
    Progress,
    Resume,
    Submission,
    Thumbnail,
    Variant,
)
from running import SECONDS, Running
from scripted import bgra, load, pixels


@pytest.fixture(autouse=True)
def runtime_file(monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "server.json"))
        with Running(tmp_path_factory.mktemp("jobs"), load, cancel_seconds=0.5, silence_seconds=6) as running:
            yield running


def receive_file(client):
    """Receive a file with its chunks and check it."""
    wire, socket = client._wire, client._socket
    begin, data, arrival = None, bytearray(), None
    while True:
        item = wire.decode(socket.recv(SECONDS))
        if isinstance(item, FetchFailed):
            return item, b""
        if isinstance(item, FileBegin):
            begin, data, arrival = item, bytearray(), Arrival(item.bytes, item.sha256)
        elif isinstance(item, Chunk):
            arrival.add(item)
            data += item.data
        elif isinstance(item, FileEnd):
            arrival.finish()
            return begin, bytes(data)


def test_a_job_is_listed_fetched_and_acknowledged(server):
    with server.client() as client:
        job = submit("layers=3", seed=7)
        *_, done = draw(client, job)
        client._send(ListJobs(newest=1))
        (summary,) = receive(client, JobList).jobs
        assert (summary.job, summary.state, summary.layers, summary.fetched) == (job.job, "finished", 3, False)
        assert summary.title == "a red apple + a beach at sunset"
        client._send(Fetch(job=job.job, index=1))
        layer = receive(client, Layer)
        assert (layer.begin.index, layer.pixels) == (1, bgra(7, 1, 8))
        client._send(Ack(job=job.job, seq=done.seq))
        client._send(ListJobs(newest=1))
        assert receive(client, JobList).jobs[0].fetched


@pytest.mark.parametrize("job", [new_job(), None], ids=["no such job", "no such layer"])
def test_a_layer_that_cannot_be_fetched_is_refused(server, job):
    with server.client() as client:
        known = submit()
        draw(client, known)
        client._send(Fetch(job=job or known.job, index=99))
        failed = receive(client, FetchFailed)
        assert (failed.index, failed.code) == (99, "unknown_job" if job else "unknown_layer")


def test_a_lost_layer_is_reported_and_the_connection_continues(server):
    with server.client() as client:
        job = submit(seed=8)
        draw(client, job)
        lost = next(iter(layers(draw(client, submit(seed=9))).values()))
        assert lost
        for path in server.config.folder.glob("layers/??/*"):
            if path.read_bytes() == bgra(8, 0, 8):
                path.unlink()
        client._send(Fetch(job=job.job, index=0))
        assert receive(client, FetchFailed).code == "layer_lost"
        client._send(Fetch(job=job.job, index=1))
        assert receive(client, Layer).pixels == bgra(8, 1, 8)


@pytest.mark.parametrize("form", ["psd", "ora", "png"])
def test_a_finished_job_is_exported_as_a_file(server, form, tmp_path):
    with server.client() as client:
        job = submit("layers=2 side=16", seed=3)
        draw(client, job)
        client._send(Export(job=job.job, format=form))
        begin, data = receive_file(client)
    assert isinstance(begin, FileBegin), begin
    assert (begin.job, begin.format, begin.bytes) == (job.job, form, len(data))
    if form == "png":
        assert Image.open(io.BytesIO(data)).size == (64, 64)
    else:
        path = tmp_path / f"stack.{form}"
        path.write_bytes(data)
        stack = formats.load(path)
        assert [np.array_equal(layer.pixels, pixels(3, i, 16)) for i, layer in enumerate(stack)] == [True, True]


def test_an_unfinished_job_cannot_be_exported(server):
    with server.client() as client:
        job = submit("huge")
        *_, failed = draw(client, job)
        assert failed.code == "out_of_memory"
        client._send(Export(job=job.job, format="psd"))
        refused, _ = receive_file(client)
    assert (refused.code, refused.format) == ("not_finished", "psd")


def test_a_finished_job_has_a_thumbnail(server):
    with server.client() as client:
        job = submit("layers=2", seed=3)
        draw(client, job)
        client._send(FetchThumbnail(job=job.job, side=32))
        thumbnail = receive(client, Thumbnail)
        assert (thumbnail.job, thumbnail.width, thumbnail.height) == (job.job, 32, 32)
        client._send(FetchThumbnail(job=job.job, side=256))
        assert receive(client, Thumbnail).width == 64, "it is not enlarged"


def test_the_submission_of_a_variant_is_one_of_its_own(server):
    with server.client() as client:
        second = new_job()
        job = submit(seed=3, variants=(Variant(job=second, seed=4),))
        client.submit(job)
        for each, wanted in ((job.job, job), (second, replace(job, job=second, seed=4, variants=()))):
            list(client.events(each))
            client._send(FetchSubmission(job=each))
            assert receive(client, Submission).submit == wanted


def test_a_job_without_a_thumbnail_is_refused(server):
    with server.client() as client:
        client._send(FetchThumbnail(job=new_job()))
        failed = receive(client, FetchFailed)
        assert (failed.code, failed.index, failed.format) == ("unknown_job", None, None)
        running = submit("seconds=0.1", steps=150)
        client.submit(running)
        client._send(FetchThumbnail(job=running.job))
        assert receive(client, FetchFailed).code == "not_finished"
        client.cancel(running.job)
        list(client.events(running.job))


def test_a_waiting_job_is_moved_before_another(server):
    with server.client() as client:
        first, second, third = submit("seconds=0.1", steps=150), submit(seed=1), submit(seed=2)
        for job in (first, second, third):
            client.submit(job)
        client._send(Move(job=third.job, before=second.job))
        client._send(ListJobs(newest=1))
        receive(client, JobList)  # the server has moved it
        client.cancel(first.job)
        list(client.events(third.job))
        list(client.events(second.job))
        client._send(ListJobs(newest=2))
        ended = {each.job: each.ended for each in receive(client, JobList).jobs}
        assert ended[third.job] < ended[second.job]


def test_each_variant_is_drawn_with_its_own_seed(server):
    with server.client() as client:
        ids = [new_job(), new_job()]
        job = submit(seed=1, variants=tuple(Variant(job=other, seed=seed) for seed, other in enumerate(ids, 2)))
        first = draw(client, job)
        drawn = [layers(first), *(layers(client.events(other)) for other in ids)]
    assert drawn == [{index: bgra(seed, index, 8) for index in (0, 1)} for seed in (1, 2, 3)]


def test_a_newer_job_replaces_a_waiting_one(server):
    with server.client() as client:
        jobs = [submit("seconds=0.1", steps=150)] + [submit(seed=seed, replaces="sketch") for seed in (1, 2)]
        for job in jobs:
            client.submit(job)
        *_, replaced = client.events(jobs[1].job)
        assert (type(replaced), replaced.replaced_by) == (Cancelled, jobs[2].job)
        client.cancel(jobs[0].job)
        assert layers(client.events(jobs[2].job)) == {index: bgra(2, index, 8) for index in (0, 1)}


def test_a_job_that_ignores_cancel_is_killed(server):
    with server.client() as client:
        job = submit("hang=1", steps=3)
        client.submit(job)
        for event in client.events(job.job):
            if isinstance(event, Progress) and event.step == 0:
                client.cancel(job.job)
        assert isinstance(event, Cancelled)
        assert isinstance(draw(client, submit())[-1], Done)


def test_a_job_that_hangs_is_killed_and_the_next_one_is_drawn(server):
    with server.client() as client:
        *_, failed = draw(client, submit("hang=1", width=96))
        assert (failed.code, "made no step for 6 seconds" in failed.message) == ("worker_hung", True)
        assert isinstance(draw(client, submit())[-1], Done)


def test_a_request_that_kills_the_worker_twice_is_quarantined(server):
    with server.client() as client:
        codes = [draw(client, submit("die=1", seed=seed))[-1].code for seed in (1, 2)]
        assert codes == ["worker_died", "quarantined"]
        with pytest.raises(Refusal) as refused:
            client.submit(submit("die=1", seed=3))
        assert refused.value.code == "quarantined"
        assert isinstance(draw(client, submit())[-1], Done)


# ---- deletion


def contents(server, target):
    """All bytes of the files of a server's folder, under their paths, when the backup of the list is up to date.

    Another process copies them: if this one, in which the server runs, closed a file of the list, it would give up the
    server's locks of it, as POSIX has it, and the next process that opened the list would take it for forsaken.
    """
    copying = [sys.executable, "-c", "import shutil, sys; shutil.copytree(*sys.argv[1:])"]
    keeper, deadline = server.app._keeper, time.monotonic() + SECONDS
    server._loop.call_soon_threadsafe(keeper.wake)
    while True:
        with keeper._working:  # so that no file goes or comes meanwhile
            if keeper._backed_up == keeper.database.changes:
                subprocess.run([*copying, str(server.config.folder), str(target)], check=True, timeout=SECONDS)
                return {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_deleted_job_leaves_neither_prompts_nor_pictures(server, tmp_path):
    secret = "a portrait of Ada in the blue room"
    job = submit("layers=2", seed=4242, background=Generated(prompt=secret))
    with server.client() as client:
        *_, done = draw(client, job)
        client._send(Export(job=job.job, format="png"))
        assert receive_file(client)[1]
        before = contents(server, tmp_path / "before")
        assert any(secret.encode() in data for path, data in before.items() if "backup" in path.name)
        client.delete(job.job)
        assert job.job not in [each.job for each in client.jobs()]
        with pytest.raises(Refusal) as refused:
            client.resume(job.job)
        assert refused.value.code == "unknown_job"
    left = contents(server, tmp_path / "after")
    assert [path for path, data in left.items() if secret.encode() in data] == []
    assert bgra(4242, 0, 8) not in left.values() and bgra(4242, 1, 8) not in left.values()
    assert done.layers == 2


def test_deletion_keeps_what_another_job_needs(server):
    with server.client() as client:
        first, second = submit(seed=77), submit(seed=77)
        draw(client, first)
        draw(client, second)
        client.delete(first.job)
        assert client.fetch(second.job, 1).pixels == bgra(77, 1, 8)


def test_deletion_keeps_what_a_client_has_uploaded(server):
    pixels = bgra(78, 0, 8)
    with server.client() as uploader, server.client() as client:
        job = submit(seed=78)
        draw(client, job)
        uploader.upload(pixels)
        client.delete(job.job)
        kept = Kept(layer=hashlib.sha256(pixels).hexdigest(), width=8, height=8, name="Kept", prompt="noise")
        draw(uploader, submit(foregrounds=(kept,)))


def test_a_job_that_is_not_over_is_not_deleted(server):
    with server.client() as client:
        running, waiting = submit("seconds=30"), submit()
        client.submit(running)
        client.submit(waiting)
        for job in (running, waiting):
            with pytest.raises(Refusal, match="Cancel it first") as refused:
                client.delete(job.job)
            assert refused.value.code == "not_finished"
        for job in (waiting, running):
            client.cancel(job.job)
            list(client.events(job.job))
            client.delete(job.job)


def test_an_unknown_job_counts_as_deleted(server):
    with server.client() as client:
        client.delete(new_job())


# ---- layers that continue at a byte


def test_a_layer_continues_where_the_connection_was_lost(server):
    job = submit("layers=1 side=400", seed=11)
    with server.client() as client:
        (layer,) = [event for event in draw(client, job) if isinstance(event, Layer)]
    begin, whole = layer.begin, layer.pixels
    for received in (1, 262_144, 300_001, len(whole) - 1, len(whole)):
        with server.client() as client:
            client.resume(job.job, after=begin.seq - 1, begun=whole[:received])
            chunks = count_chunks(client)
            layer, done = (event for event in client.events(job.job) if isinstance(event, Layer | Done))
            assert layer.pixels == whole
            assert layer.begin.skipped == received
            assert sum(chunks) == len(whole) - received
            assert done.seq == begin.seq + 1


def count_chunks(client):
    """The sizes of the chunks that the client receives from now on."""
    sizes, decode = [], client._wire.decode

    def counted(frame):
        item = decode(frame)
        if isinstance(item, Chunk):
            sizes.append(len(item.data))
        return item

    client._wire.decode = counted
    return sizes


def test_more_bytes_than_a_layer_has_are_all_sent_again(server):
    job = submit("layers=1", seed=12)
    with server.client() as client:
        draw(client, job)
        client._send(Resume(job=job.job, after=1, received=10**6))
        layer = receive(client, Layer)
        assert (layer.begin.skipped, layer.pixels) == (0, bgra(12, 0, 8))


def test_bytes_that_the_server_left_out_wrongly_are_noticed(server):
    job = submit("layers=1", seed=13)
    with server.client() as client:
        draw(client, job)
        client._send(Resume(job=job.job, after=1, received=8))
        with pytest.raises(BadTransfer, match="left out 8 bytes"):
            receive(client, Layer)
