"""An upload whose connection was lost goes on where it was, over the next one."""

import asyncio
import hashlib
import time

import numpy as np
import pytest

from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept
from layerfusion.server.client import remote_pipeline
from layerfusion.server.client.client import Client
from layerfusion.server.net.interrupted_uploads import Interrupted, InterruptedUploads
from layerfusion.server.protocol import location
from layerfusion.server.protocol.frames import CHUNK_BYTES, Arrival, Chunk, split
from layerfusion.server.protocol.messages import Upload, Uploaded, UploadReady, UploadRefused
from layerfusion.server.storage.layer_store import LayerStore
from running import SECONDS, Running
from scripted import load

PIXELS = bytes(np.random.default_rng(0).integers(0, 256, 3 * CHUNK_BYTES + 100, np.uint8))
DIGEST = hashlib.sha256(PIXELS).hexdigest()
SENT = 2 * CHUNK_BYTES
"""Bytes of `PIXELS` that the first connection sends."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", load) as running:
        yield running


def eventually(holds):
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def drafts(server):
    return list((server.config.folder / "layers" / "drafts").iterdir())


def begin(client, *, resumes=True, transfer=0):
    client._send(Upload(transfer=transfer, layer=DIGEST, bytes=len(PIXELS), resumes=resumes))
    return client._wait_for(UploadReady, Uploaded)


def interrupt(server, *, resumes=True):
    """Send two chunks of `PIXELS`, and lose the connection when the server has written them."""
    with server.client() as client:
        assert begin(client, resumes=resumes).received == 0
        for chunk in split(0, PIXELS[:SENT]):
            client._send(chunk)
        eventually(lambda: any(path.stat().st_size >= SENT - 2**17 for path in drafts(server)))  # the file is buffered
    server.wait_until_left()


def test_only_the_rest_is_sent_again(server, monkeypatch):
    interrupt(server)
    sent = []
    with server.client() as client:
        send = client._send
        monkeypatch.setattr(client, "_send", lambda item: (sent.append(item), send(item)))
        assert client.upload(PIXELS) == DIGEST
    assert sum(len(item.data) for item in sent if isinstance(item, Chunk)) == len(PIXELS) - SENT
    assert server.app._store.read(DIGEST) == PIXELS
    assert not drafts(server)


def test_a_wrong_rest_is_refused_and_nothing_is_left(server):
    interrupt(server)
    with server.client() as client:
        assert begin(client).received == SENT
        for chunk in split(0, bytes(len(PIXELS) - SENT)):
            client._send(chunk)
        answer = client._receive()
        assert isinstance(answer, UploadRefused) and answer.code == "bad_transfer"
        assert not drafts(server)
        assert begin(client, transfer=1).received == 0


def test_a_client_that_would_not_send_the_rest_only_begins_anew(subtests, server):
    for first, second in [(False, True), (True, False)]:
        with subtests.test(first=first, second=second):
            interrupt(server, resumes=first)
            with server.client() as client:
                assert begin(client, resumes=second).received == 0
            server.wait_until_left()  # it deletes what it has of the upload until then


def test_a_stopped_server_leaves_no_parts(tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", load) as server:
        interrupt(server)
        assert drafts(server)
    assert not drafts(server)


def test_parts_are_kept_for_each_user_for_some_time_and_not_too_many(tmp_path):
    store = LayerStore(tmp_path)

    def part(uploads, user, number):
        draft, upload = store.draft(), Upload(transfer=0, layer=f"{number:064x}", bytes=8, resumes=True)
        draft.write(b"half")
        uploads.keep(user, upload, Interrupted(Arrival(8, upload.layer, b"half"), draft))
        return upload

    def files():
        return len(list((tmp_path / "drafts").iterdir()))

    async def prove():
        uploads = InterruptedUploads(seconds=SECONDS)
        first = part(uploads, "ann", 0)
        assert uploads.take("ben", first) is None
        taken = uploads.take("ann", first)
        assert taken is not None and taken.arrival.received == 4 and uploads.take("ann", first) is None
        taken.draft.close()
        for number in range(20):
            part(uploads, "ann", number)
        part(uploads, "ben", 3)
        part(uploads, "ben", 3)
        assert files() == 16
        uploads.clear("ann")
        assert files() == 1
        uploads.clear()
        assert files() == 0
        brief = InterruptedUploads(seconds=0.01)
        part(brief, "ann", 1)
        await asyncio.sleep(0.1)
        assert files() == 0

    asyncio.run(prove())


def test_a_picture_is_drawn_although_its_upload_was_interrupted(server, monkeypatch):
    monkeypatch.setattr(remote_pipeline, "_PAUSE", 0.0)
    pixels = np.random.default_rng(1).integers(0, 256, (700, 500, 4), np.uint8)
    layer = Layer(name="mine", role=Role.FOREGROUND, pixels=pixels)
    made, upload = [], Client.upload

    def broken(client, data):
        if len(made) == 1:
            client._socket.close()
        return upload(client, data)

    def connect():
        made.append(None)
        return server.client()

    monkeypatch.setattr(Client, "upload", broken)
    request = GenerationRequest(
        size=Size(512, 704),
        background=Generated(prompt="a beach"),
        foregrounds=(Kept(layer=layer, prompt="a pear"),),
        blended_prompt="layers=2 side=8",
        seed=5,
        steps=3,
    )
    events = list(remote_pipeline.draw(connect, request))
    assert len(made) == 2 and len(events[-1].stack) == 2
