"""Kept pictures travel to a scripted server on loopback before their job."""

import hashlib
import os
import queue

from layerfusion.server.protocol import messages
from layerfusion.server.protocol.frames import Chunk
from link_harness import JOB, SECONDS, Scripted, online, same, submit


def test_a_kept_picture_is_uploaded_before_its_job(link, events, plugin):
    from krita_layerfusion.images import Picture

    data = os.urandom(4 * 100_000)
    got = queue.Queue()

    def script(peer):
        peer.greet()
        upload = peer.get(messages.Upload)
        assert (upload.bytes, upload.layer) == (len(data), hashlib.sha256(data).hexdigest())
        peer.put(messages.UploadReady(transfer=upload.transfer))
        received = b""
        while len(received) < len(data):
            chunk = peer.get(Chunk)
            assert chunk.transfer == upload.transfer
            received += chunk.data
        assert received == data
        peer.put(messages.Uploaded(transfer=upload.transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 100_000, 1, data),))
        assert same(got.get(timeout=SECONDS), submit())


def test_two_kept_pictures_are_uploaded_one_after_the_other(link, events, plugin):
    from krita_layerfusion.images import Picture

    first, second = b"one!", b"two!" * 2
    got = queue.Queue()

    def script(peer):
        peer.greet()
        for data in (first, second):
            upload = peer.get(messages.Upload)
            assert upload.layer == hashlib.sha256(data).hexdigest()
            peer.put(messages.UploadReady(transfer=upload.transfer))
            assert peer.get(Chunk).data == data
            peer.put(messages.Uploaded(transfer=upload.transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, first), Picture(0, 0, 2, 1, second)))
        assert same(got.get(timeout=SECONDS), submit())


def test_a_picture_the_server_has_already_is_not_sent_again(link, events, plugin):
    from krita_layerfusion.images import Picture

    got = queue.Queue()

    def script(peer):
        peer.greet()
        peer.put(messages.Uploaded(transfer=peer.get(messages.Upload).transfer))
        got.put(peer.get(messages.Submit))

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        assert got.get(timeout=SECONDS).job == JOB


def test_what_the_server_has_kept_of_an_interrupted_upload_is_not_sent_again(link, events, plugin):
    from krita_layerfusion.images import Picture

    data = os.urandom(4 * 100_000)
    got = queue.Queue()

    def script(peer):
        peer.greet()
        upload = peer.get(messages.Upload)
        assert upload.resumes
        peer.put(messages.UploadReady(transfer=upload.transfer, received=300_001))
        got.put(peer.get(Chunk))
        peer.put(messages.Uploaded(transfer=upload.transfer))
        peer.get(messages.Submit)

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 100_000, 1, data),))
        chunk = got.get(timeout=SECONDS)
        assert (chunk.index, bytes(chunk.data)) == (0, data[300_001:])


def test_a_job_that_is_cancelled_during_its_upload_is_not_submitted(link, events, plugin):
    from dataclasses import replace

    from krita_layerfusion.images import Picture
    from krita_layerfusion.protocol.messages import Cancel, Variant

    other, third = JOB[:-1] + "0", JOB[:-1] + "1"
    got = queue.Queue()

    def script(peer):
        peer.greet()
        first = peer.get(messages.Upload).transfer
        second = peer.get(messages.Upload).transfer
        assert [peer.get(messages.Cancel).job for _ in range(2)] == [JOB, other]
        peer.put(messages.Uploaded(transfer=first), messages.Uploaded(transfer=second))
        got.put(peer.get(messages.Submit).job)
        got.put(peer.get(messages.Cancel).job)

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        link.submit(
            replace(submit(), job=third, variants=(Variant(job=other, seed=1),)), (Picture(0, 0, 1, 1, b"BGRA"),)
        )
        link.send(Cancel(job=JOB))
        link.send(Cancel(job=other))
        assert [got.get(timeout=SECONDS) for _ in range(2)] == [third, other], "only what was not cancelled"


def test_a_refused_upload_is_the_failure_of_its_job(link, events, plugin):
    from krita_layerfusion.images import Picture

    def script(peer):
        peer.greet()
        transfer = peer.get(messages.Upload).transfer
        peer.put(messages.UploadRefused(transfer=transfer, code="too_large", message="Too large.", hint="Crop it."))
        peer.connection.recv(timeout=SECONDS)

    with Scripted(script):
        online(events)
        link.submit(submit(), (Picture(0, 0, 1, 1, b"bgra"),))
        failed = events.get(timeout=SECONDS)
        assert same(failed, messages.Failed(job=JOB, seq=0, code="too_large", message="Too large.", hint="Crop it."))
