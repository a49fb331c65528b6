"""Names of jobs, and which jobs were submitted together."""

from dataclasses import replace

from bare import WIRE, greeted
from layerfusion.server.client.client import new_job
from layerfusion.server.protocol.messages import (
    Done,
    JobList,
    ListJobs,
    Masks,
    Rename,
    Renamed,
    RenameFailed,
    Resubmit,
    Variant,
)
from running import SECONDS
from samples import submit


def asked(raw, message, kind):
    """The first answer of a kind."""
    raw.send(WIRE.encode(message))
    while not isinstance(answer := WIRE.decode(raw.recv(SECONDS)), kind):
        pass
    return answer


def drawn(server, job):
    with server.client() as client:
        client.submit(job)
        for each in job.jobs():
            list(client.events(each.job))


def test_a_name_is_kept_for_all_clients_and_taken_away_again(server):
    job = replace(submit(), job=new_job())
    drawn(server, job)
    with greeted(server) as raw:
        for name in ("Poster 第一", ""):
            assert asked(raw, Rename(job=job.job, name=name), Renamed) == Renamed(job=job.job, name=name)
            with server.client() as other:
                assert other.jobs()[0].name == name


def test_what_is_not_there_is_not_renamed(server):
    with greeted(server) as raw:
        answer = asked(raw, Rename(job=new_job(), name="a"), RenameFailed)
    assert answer.code == "unknown_job"


def test_variants_are_known_as_one_submission(server):
    first, second = new_job(), new_job()
    drawn(server, replace(submit(), job=first, variants=(Variant(job=second, seed=9),)))
    drawn(server, replace(submit(), job=(third := new_job())))
    with greeted(server) as raw:
        listed = {each.job: each.submission for each in asked(raw, ListJobs(), JobList).jobs}
    assert (listed[first], listed[second], listed[third]) == (first, first, third)


def test_a_picture_is_drawn_again_with_its_masks(server):
    job = replace(submit(), job=new_job(), blended_prompt="maps=2 layers=1")
    drawn(server, job)
    for masks, times in [(False, []), (True, [1.0, 0.9])]:
        with greeted(server) as raw:
            raw.send(WIRE.encode(Resubmit(job=new_job(), of=job.job, masks=masks)))
            received = []
            while not received or not isinstance(received[-1], Done):
                received.append(WIRE.decode(raw.recv(SECONDS)))
        assert [each.time for each in received if isinstance(each, Masks)] == times
