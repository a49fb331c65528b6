"""`/healthz` and `/metrics`: what operators ask, and who may."""

from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

import scripted
from layerfusion.server.client import browser
from layerfusion.server.net import health, metrics
from layerfusion.server.net.health import Health
from proving import submit
from running import Running

ADMIN_ONLY = 403


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def parts(tmp_path):
    """What a `Health` looks at; the tests change it."""
    return SimpleNamespace(folder=tmp_path, ready=[True], problem=None, stored=0, clock=Clock())


@pytest.fixture
def look(parts):
    made = Health(parts.folder, lambda: parts.ready, lambda: parts.problem, lambda: (parts.stored, 100), parts.clock)

    def look(answers=True):
        return {finding.part: (finding.well, finding.text) for finding in made.look(answers=answers)}

    return look


def test_a_worker_may_start_for_a_while_but_not_for_ever(parts, look):
    assert look()["worker"] == (True, "ready")
    parts.ready = [False]
    assert look()["worker"][0]
    parts.clock.now += health.STARTING_SECONDS
    assert look()["worker"] == (False, "starting for 180 s")
    parts.ready = [False, True]
    assert look()["worker"] == (True, "1 of 2 ready")


def test_a_full_store_and_a_silent_database_are_unwell(parts, look):
    parts.stored = 99
    assert look()["store"][0]
    parts.stored = 100
    assert not look()["store"][0]
    parts.stored = 0
    assert look(answers=False)["store"] == (False, "the list of jobs does not answer")


def test_a_full_or_missing_disk_is_unwell(parts, look, monkeypatch):
    for free, well in [(health.FREE_BYTES, True), (health.FREE_BYTES - 1, False)]:
        monkeypatch.setattr(health.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert look()["disk"][0] == well
    monkeypatch.undo()
    parts.folder.rmdir()
    assert look()["disk"] == (False, "cannot be read")


def test_healthz_needs_no_token_and_tells_nothing_else(server):
    assert server.get("/healthz") == server.get("/healthz", Authorization="") == (200, "ok\n")
    assert server.get("/healthz", Host="evil.example")[0] == 421


def test_healthz_names_what_is_unwell(tmp_path, runtime_file, monkeypatch):
    monkeypatch.setenv("LAYERFUSION_RUNTIME", str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", scripted.load, store_bytes=0) as full:
        assert full.get("/healthz") == (503, "unwell: store\n")
        assert browser.status(full.runtime)["well"] is False


def figures(server):
    status, text = server.get("/metrics")
    assert status == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_jobs_and_bytes(server):
    before = figures(server)
    with server.client() as client:
        for script in ["layers=2 side=8", "huge"]:
            job = submit(script)
            client.submit(job)
            list(client.events(job.job))
        after = figures(server)
    assert after["layerfusion_connections",] == 1

    def rise(*name):
        return after[name] - before[name]

    assert rise("layerfusion_jobs_total", "done") == 1
    assert rise("layerfusion_jobs_total", "failed") == 1
    assert rise("layerfusion_layer_bytes_total") == 2 * 4 * 8 * 8
    assert rise("layerfusion_drawing_seconds_total") > 0
    assert after["layerfusion_jobs_waiting",] == after["layerfusion_jobs_running",] == 0
    assert after["layerfusion_well", "disk"] in (0, 1)
    assert after["layerfusion_workers",] == 1


def test_metrics_need_a_token(server):
    assert server.get("/metrics", Authorization="")[0] == 401


def test_metrics_are_for_admins(tmp_path, monkeypatch):
    from layerfusion.server.config import users
    from layerfusion.server.storage.users import User, Users

    monkeypatch.setenv("LAYERFUSION_RUNTIME", str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", scripted.load) as shared:
        known = Users(users(tmp_path / "jobs"))
        for user, status in [(User(name="ada"), ADMIN_ONLY), (User(name="prometheus", admin=True), 200)]:
            assert shared.get("/metrics", Authorization=f"Bearer {known.add(user)}")[0] == status


def test_the_text_is_what_prometheus_reads():
    text = metrics.text(
        [metrics.Metric("info", "gauge", "A version.", {'0."1"\\\n': 1}, "version"), metrics.gauge("a", "b.", 0.5)]
    )
    (info, gauge) = text_string_to_metric_families(text)
    assert info.samples[0].labels == {"version": '0."1"\\\n'}
    assert (gauge.name, gauge.documentation, gauge.samples[0].value) == ("layerfusion_a", "b.", 0.5)


def test_a_worker_that_cannot_start_is_named_at_once(parts, look):
    parts.ready, parts.problem = [False], "The process that draws could not start 3 times (exit code 1)."
    assert look()["worker"] == (False, parts.problem)
