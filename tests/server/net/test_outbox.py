"""The order of messages: replies first, layers complete and in order, previews only if nothing else waits."""

import asyncio
import hashlib
from dataclasses import replace

import pytest

from layerfusion.server.net import outbox
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.protocol.frames import CHUNK_BYTES, Arrival, Chunk
from layerfusion.server.protocol.messages import (
    Accepted,
    Cancelled,
    Done,
    Failed,
    FileBegin,
    FileEnd,
    JobList,
    LayerBegin,
    LayerEnd,
    Preview,
    Progress,
    Queued,
    Started,
)
from layerfusion.server.storage.layer_store import LayerStore
from samples import layer_begin

JOB = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d901"
OTHER = "2f1e8a52-0f5b-4b0e-9d6c-3f0a51c7d902"
WIDTH, HEIGHT = 300, 500
PIXELS = bytes(range(250)) * (4 * WIDTH * HEIGHT // 250)
DIGEST = hashlib.sha256(PIXELS).hexdigest()
DONE = Done(job=JOB, seq=4, layers=1)


@pytest.fixture
def store(tmp_path):
    store = LayerStore(tmp_path)
    store.put(PIXELS)
    return store


def layer(seq, digest=DIGEST):
    return layer_begin(JOB, seq=seq, width=WIDTH, height=HEIGHT, bytes=len(PIXELS), sha256=digest)


def progress(step, job=JOB):
    return Progress(job=job, stage="drawing", step=step, total=99)


def preview(index, shade=0):
    return Preview(job=JOB, role="foreground", index=index, width=1, height=1, pixels=bytes([shade] * 4))


async def take(box, count):
    async with asyncio.timeout(20):
        return [await box.next() for _ in range(count)]


async def take_all(box):
    """All items of an outbox until it is empty."""
    taken = []
    async with asyncio.timeout(20):
        while True:
            coming = asyncio.create_task(box.next())
            empty = asyncio.create_task(box.emptied())
            await asyncio.wait([coming, empty], return_when=asyncio.FIRST_COMPLETED)
            empty.cancel()
            if not coming.done():
                coming.cancel()
                return taken
            taken.append(coming.result())


def test_messages_are_sent_by_priority(store):
    async def scenario():
        box = Outbox(store)
        waiting = [preview(0), Started(job=JOB, seq=1), progress(1), Queued(job=OTHER, position=1)]
        waiting.append(Accepted(job=OTHER, position=1))
        for message in waiting:
            box.put(message)
        assert await take(box, 5) == waiting[::-1]

    asyncio.run(scenario())


def test_a_layer_is_sent_completely(store):
    async def scenario():
        box = Outbox(store)
        box.put(layer(2))
        box.put(DONE)
        begin, *chunks, end, done = await take(box, 3 + -(-len(PIXELS) // CHUNK_BYTES))
        arrival = Arrival(begin.bytes, begin.sha256)
        for chunk in chunks:
            arrival.add(chunk)
        arrival.finish()
        assert b"".join(chunk.data for chunk in chunks) == PIXELS
        assert end == LayerEnd(job=JOB, seq=2, transfer=begin.transfer)
        assert done == DONE

    asyncio.run(scenario())


def test_a_layer_longer_than_one_read_is_numbered_on(store):
    pixels = bytes(range(256)) * ((outbox._READ_BYTES + CHUNK_BYTES + 1024) // 256)
    digest = store.put(pixels)

    async def scenario():
        box = Outbox(store)
        box.put(layer_begin(JOB, seq=1, width=256, height=len(pixels) // 1024, bytes=len(pixels), sha256=digest))
        begin, *chunks, end = await take(box, 2 + -(-len(pixels) // CHUNK_BYTES))
        arrival = Arrival(begin.bytes, digest)
        for chunk in chunks:
            arrival.add(chunk)
        arrival.finish()
        assert isinstance(end, LayerEnd)

    asyncio.run(scenario())


def test_each_layer_has_its_own_transfer(store):
    async def scenario():
        box = Outbox(store)
        box.put(layer(2))
        box.put(layer(3))
        taken = await take_all(box)
        begins = [item for item in taken if isinstance(item, LayerBegin)]
        assert [begin.seq for begin in begins] == [2, 3]
        assert begins[0].transfer != begins[1].transfer
        assert {item.transfer for item in taken if isinstance(item, Chunk)} == {begin.transfer for begin in begins}

    asyncio.run(scenario())


def test_replies_and_progress_do_not_wait_for_a_layers_end(store):
    async def scenario():
        box = Outbox(store)
        box.put(layer(2))
        assert isinstance((await take(box, 2))[1], Chunk)
        box.put(Accepted(job=OTHER, position=0))
        box.put(progress(1))
        assert await take(box, 2) == [Accepted(job=OTHER, position=0), progress(1)]
        assert isinstance((await take(box, 1))[0], Chunk)

    asyncio.run(scenario())


def test_events_keep_their_order(store):
    async def scenario():
        box = Outbox(store)
        failed = Failed(job=OTHER, seq=1, code="x", message="y")
        for event in (Started(job=JOB, seq=1), failed, Cancelled(job=JOB, seq=2)):
            box.put(event)
        assert [event.seq for event in await take(box, 3)] == [1, 1, 2]

    asyncio.run(scenario())


def test_only_the_latest_of_progress_positions_and_previews_is_sent(store):
    async def scenario():
        box = Outbox(store)
        for number in range(50):
            box.put(progress(number))
            box.put(Queued(job=OTHER, position=number))
            box.put(preview(0, shade=number))
            box.put(preview(1, shade=number))
        expected = [Queued(job=OTHER, position=49), progress(49), preview(0, shade=49), preview(1, shade=49)]
        assert await take_all(box) == expected

    asyncio.run(scenario())


def test_progress_is_sent_ten_times_a_second_and_the_last_one_is_not_lost(store, monkeypatch):
    async def scenario():
        now = [100.0]
        monkeypatch.setattr(outbox.time, "monotonic", lambda: now[0])
        box = Outbox(store)
        box.put(progress(1))
        assert await take(box, 1) == [progress(1)]
        box.put(progress(2))
        box.put(preview(0))
        assert await take(box, 1) == [preview(0)], "it is too early for another progress"
        now[0] += outbox.PROGRESS_INTERVAL
        assert await take(box, 1) == [progress(2)]

    asyncio.run(scenario())


def test_delayed_progress_is_sent_when_it_is_due(store):
    async def scenario():
        box = Outbox(store)
        box.put(progress(1))
        await take(box, 1)
        box.put(progress(2))
        assert await take(box, 1) == [progress(2)]

    asyncio.run(scenario())


def test_notes_of_a_job_are_dropped_after_its_end(store):
    async def scenario():
        box = Outbox(store)
        for message in (progress(5), progress(7, job=OTHER), preview(0), Queued(job=JOB, position=0), DONE):
            box.put(message)
        assert await take_all(box) == [progress(7, job=OTHER), DONE]

    asyncio.run(scenario())


def test_after_a_lost_layer_the_job_fails_and_its_other_events_are_dropped(store):
    async def scenario():
        box = Outbox(store)
        for message in (layer(2, digest="0" * 64), progress(1, job=OTHER), replace(DONE, seq=3)):
            box.put(message)
        box.put(Started(job=OTHER, seq=1))
        _, lost, other = await take_all(box)
        assert (lost.type, lost.job, lost.seq, lost.code) == ("failed", JOB, 0, "layer_lost")
        assert other == Started(job=OTHER, seq=1)

    asyncio.run(scenario())


def test_a_file_is_sent_in_chunks_between_its_begin_and_its_end(store):
    data = bytes(range(256)) * 2000
    digest = store.put(data)

    async def scenario():
        box = Outbox(store)
        box.put(layer(1))
        box.put(FileBegin(job=JOB, transfer=0, format="psd", bytes=len(data), sha256=digest))
        *_, begin, first, second, end = await take_all(box)
        assert (begin.transfer, end) == (1, FileEnd(job=JOB, transfer=1))
        assert bytes(first.data) + bytes(second.data) == data

    asyncio.run(scenario())


def test_a_lost_file_is_reported(store):
    async def scenario():
        box = Outbox(store)
        box.put(FileBegin(job=JOB, transfer=0, format="ora", bytes=4, sha256="0" * 64))
        (lost,) = await take_all(box)
        assert (lost.type, lost.format, lost.code) == ("fetch_failed", "ora", "layer_lost")

    asyncio.run(scenario())


def test_no_messages_are_read_from_a_client_that_does_not_read(store):
    async def scenario():
        box = Outbox(store)
        for _ in range(1000):
            box.put(Accepted(job=JOB, position=0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.has_room(), 0.05)
        await take(box, 600)
        await asyncio.wait_for(box.has_room(), 20)

    asyncio.run(scenario())


def test_lists_of_jobs_count_more_than_other_replies(store):
    """A client that requests many lists of jobs and does not read them must not fill the memory."""

    async def scenario():
        box = Outbox(store)
        for _ in range(8):
            box.put(JobList(jobs=()))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await box.emptied()
        assert not box._has_room.is_set()
        await box.next()
        assert box._has_room.is_set()

    asyncio.run(scenario())
