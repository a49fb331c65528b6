"""Damaged layers and full disks: nothing wrong is sent, refusals have a code, and there is a way out."""

import contextlib
import hashlib
import os
import time

import pytest

import samples
from layerfusion.server.client.client import Client, Refusal
from layerfusion.server.config import database, layers
from layerfusion.server.errors import BrokenStore
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Done, Export, Failed, FetchFailed, Kept, Started, Submit
from layerfusion.server.storage.database import Database
from layerfusion.server.storage.layer_store import LayerStore
from layerfusion.server.storage.rescue import backup
from running import SECONDS, Running
from scripted import bgra
from small_disk import fill, small_disk

MEGABYTE = 1024**2
ROOM = {"free_bytes": 64 * 1024, "store_bytes": 100 * MEGABYTE}


@pytest.fixture(autouse=True)
def runtime_file(monkeypatch, tmp_path):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "jobs"
    path.mkdir(mode=0o700)
    return path


def submit(script="layers=2", **values) -> Submit:
    return samples.submit(blended_prompt=script, **{"steps": 1, **values})


def draw(client: Client, job: Submit):
    client.submit(job)
    return list(client.events(job.job))


def damage(folder, pixels):
    digest = hashlib.sha256(pixels).hexdigest()
    path = LayerStore(layers(folder)).path(digest)
    path.write_bytes(bytes(len(pixels)))
    return digest


def receive(client, kind):
    return client._next(lambda item: isinstance(item, kind))


# ---- damaged layers


def test_a_damaged_layer_is_lost_and_never_sent_and_heals_by_being_drawn_or_uploaded_again(folder):
    with Running(folder) as server, server.client() as client:
        job = submit(seed=5)
        draw(client, job)
        digest = damage(folder, bgra(5, 0, 8))

        client.resume(job.job)
        *_, last = client.events(job.job)
        assert isinstance(last, Failed) and (last.code, last.seq) == ("layer_lost", 0)
        client._send(Export(job=job.job, format="ora"))
        assert receive(client, FetchFailed).code == "layer_lost"
        with pytest.raises(Refusal) as refused:
            client.fetch(job.job, 0)
        assert refused.value.code == "layer_lost"

        kept = Kept(layer=digest, width=8, height=8, name="Kept", prompt="noise")
        with pytest.raises(Refusal) as refused:
            client.submit(submit(foregrounds=(kept,)))
        assert refused.value.code == "unknown_layer"
        client.upload(bgra(5, 0, 8))
        assert client.fetch(job.job, 0).pixels == bgra(5, 0, 8)

        damage(folder, bgra(5, 0, 8))
        draw(client, submit(seed=5))
        assert client.fetch(job.job, 0).pixels == bgra(5, 0, 8)


# ---- lists that are lost


def test_a_server_with_an_empty_list_does_not_start_and_touches_no_layer(folder):
    with Running(folder) as server, server.client() as client:
        job = submit(seed=6)
        draw(client, job)
    assert backup(folder).exists()
    os.truncate(database(folder), 0)
    with pytest.raises(BrokenStore, match="jobs recover"), Running(folder):
        pass
    assert LayerStore(layers(folder)).read(hashlib.sha256(bgra(6, 0, 8)).hexdigest())


def test_a_server_whose_list_was_moved_away_sets_the_layers_aside(folder, caplog):
    with Running(folder) as server, server.client() as client:
        draw(client, submit(seed=7))
    for path in folder.glob("jobs.sqlite*"):
        path.unlink()
    with Running(folder) as server, server.client() as client:
        assert client.jobs() == ()
    assert "jobs recover" in caplog.text
    (aside,) = folder.glob("set-aside-*")
    assert len(list(aside.glob("layers/??/*"))) == 2
    assert backup(aside).exists()


def test_the_backup_forgets_what_was_deleted(folder):
    secret = "a letter to nobody"
    with Running(folder) as server, server.client() as client:
        job = submit(background=samples.Generated(prompt=secret))
        draw(client, job)
    assert secret.encode() in backup(folder).read_bytes()
    with Running(folder) as server, server.client() as client:
        client.delete(job.job)
    left = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert secret.encode() not in left


# ---- full disks and stores


def test_an_upload_on_a_full_disk_is_refused_by_name(tmp_path):
    with small_disk(tmp_path / "disk", 24) as disk, Running(disk / "jobs", **ROOM) as server, server.client() as client:
        draw(client, submit())
        fill(disk, but=2 * MEGABYTE)
        server.app._keeper._room._free_bytes = 0  # the disk is filled after the server has looked
        for size in (3 * MEGABYTE, 3 * MEGABYTE + 4, 6 * MEGABYTE):
            server.app._keeper._room.free = lambda: 1 << 40
            with pytest.raises(Refusal) as refused:
                client.upload(bytes(size))
            assert refused.value.code == "unwritable_file"
        (disk / "filler").unlink()
        client.upload(bytes(3 * MEGABYTE))
        assert list((disk / "jobs" / "layers" / "drafts").iterdir()) == []


def test_uploads_count_against_the_store_across_clients(folder):
    with (
        Running(folder, store_bytes=3 * MEGABYTE, free_bytes=0) as server,
        server.client() as first,
        server.client() as second,
    ):
        first.upload(bytes(MEGABYTE))
        second.upload(b"x" * MEGABYTE)
        with pytest.raises(Refusal) as refused:
            second.upload(b"y" * MEGABYTE)
        assert refused.value.code == "store_full"
        *_, last = draw(first, submit())
        assert isinstance(last, Done)


def ended(records, number, *, fetched, size, store):
    job = samples.job_id(number)
    records.add([samples.submit(number)], "a")
    digest = store.put(number.to_bytes(4, "big") * (size // 4))
    begin = samples.layer_begin(job, seq=2, width=size // 4, bytes=size, sha256=digest)
    for event in (Started(job=job, seq=1), begin, Done(job=job, seq=3, layers=1)):
        assert records.append(event)
    if fetched:
        records.acknowledge(job, 3)


@contextlib.contextmanager
def full_disk(tmp_path, *, fetched):
    """A folder with two jobs, of which the newer may be fetched, on a disk without a free byte."""
    with small_disk(tmp_path / "disk", 64) as disk:
        folder = disk / "jobs"
        with Running(folder, **ROOM):
            pass  # it makes the reserve
        store = LayerStore(layers(folder))
        with contextlib.closing(Database(database(folder))) as records:
            ended(records, 1, fetched=False, size=128 * 1024, store=store)
            ended(records, 2, fetched=fetched, size=128 * 1024, store=store)
            records.save_service()
        fill(disk)
        yield disk, folder


def test_a_server_starts_on_a_full_disk_and_deletes_what_was_fetched(tmp_path):
    with full_disk(tmp_path, fetched=True) as (_, folder), Running(folder, **ROOM) as server, server.client() as client:
        deadline = time.monotonic() + SECONDS
        while [job.job for job in client.jobs()] != [samples.job_id(1)]:
            assert time.monotonic() < deadline
            time.sleep(0.02)  # asked without a pause, it would refuse so many messages
        client.delete(samples.job_id(1))
        assert client.jobs() == ()


def test_on_a_full_disk_jobs_are_refused_by_name_until_there_is_room(tmp_path):
    with (
        full_disk(tmp_path, fetched=False) as (disk, folder),
        Running(folder, **ROOM) as server,
        server.client() as client,
    ):
        fill(disk)
        with pytest.raises(Refusal) as refused:
            client.submit(submit())
        assert refused.value.code == "store_full"
        with pytest.raises(Refusal) as refused:
            client.upload(bytes(MEGABYTE))
        assert refused.value.code == "store_full"
        (disk / "filler").unlink()
        *_, last = draw(client, submit(seed=3))
        assert isinstance(last, Done)
        assert len(client.jobs()) == 3
