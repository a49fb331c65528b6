"""`generate --server`: the same request in, the same layers out, whatever happens to the connection."""

import dataclasses
import hashlib
import json
import re
import threading

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

import scripted
from layerfusion.engine import formats
from layerfusion.engine.events import Finished, LayerReady, Notice, Progress
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, Role
from layerfusion.engine.request import GenerationRequest
from layerfusion.engine.sources import Generated, Kept
from layerfusion.server import translate
from layerfusion.server.cli import remote as remote_command
from layerfusion.server.cli.main import main
from layerfusion.server.client import remote_pipeline
from layerfusion.server.client.client import Client, Refusal, new_job
from layerfusion.server.client.remote_pipeline import draw
from layerfusion.server.protocol import location
from layerfusion.server.protocol.errors import UnsupportedVersion
from running import SECONDS, Running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(tmp_path_factory.mktemp("runtime") / "server.json"))
        with Running(tmp_path_factory.mktemp("layers"), scripted.load, max_connections=8) as running:
            yield running


def request(script="layers=2 side=8", **values):
    defaults = {
        "size": Size(64, 64),
        "background": Generated(prompt="a beach"),
        "foregrounds": (Generated(prompt="an apple"),),
        "blended_prompt": script,
        "seed": 5,
        "steps": 3,
    }
    return GenerationRequest(**{**defaults, **values})


def layer(role=Role.BACKGROUND, offset=(0, 0), side=64):
    pixels = np.random.default_rng(1).integers(0, 256, (side, side + 1, 4), np.uint8)
    return Layer(name="mine", role=role, pixels=pixels, offset=offset)


def kept():
    return Kept(layer=layer(Role.FOREGROUND, (3, -2), 6), prompt="a pear")


def test_an_older_server_gets_no_request_with_fields_that_it_ignores(server):
    with server.client() as client:
        client.welcome = dataclasses.replace(client.welcome, protocol=(1, 2))
        submit = translate.to_submit(request(refine=0.2), new_job())
        with pytest.raises(UnsupportedVersion, match=r"uses protocol 1\.2, and this picture needs 1\.3"):
            client.submit(submit)
        assert submit.job not in {job.job for job in client.jobs()}


def test_the_events_are_those_of_the_pipeline(server):
    events = list(remote_pipeline.draw(server.client, request(foregrounds=(kept(),))))
    assert isinstance(events[-1], Finished)
    assert [event.stage for event in events if isinstance(event, Progress)][-1:] == ["drawing"]
    stack = events[-1].stack
    assert [event.layer for event in events if isinstance(event, LayerReady)] == list(stack.layers)
    for index, layer in enumerate(stack):
        assert np.array_equal(layer.pixels, scripted.pixels(5, index, 8))
    with server.client() as client:
        assert client.jobs(newest=1)[0].fetched, "the server may forget it sooner"


def test_a_refused_request_leaves_no_connection_open(server):
    clients = []

    def connect():
        clients.append(server.client())
        return clients[-1]

    with pytest.raises(Refusal):
        list(remote_pipeline.draw(connect, request(model="none")))
    (client,) = clients
    with pytest.raises(ConnectionClosed):
        client.jobs()


def test_a_failed_greeting_closes_the_connection():
    class Silent:
        closed = False

        def send(self, _):
            pass

        def recv(self, timeout=None):
            raise ConnectionClosedOK(None, None) if timeout is None else TimeoutError

        def close(self):
            self.closed = True

    socket = Silent()
    with pytest.raises(TimeoutError):
        Client(socket)
    assert socket.closed


def test_a_refusal_has_its_code(server):
    with pytest.raises(Refusal) as refused:
        list(remote_pipeline.draw(server.client, request(model="none")))
    assert refused.value.code == "unknown_model"
    with pytest.raises(Refusal) as refused:
        list(remote_pipeline.draw(server.client, request("huge")))
    assert refused.value.code == "out_of_memory"


def test_closing_cancels(server):
    drawing = remote_pipeline.draw(server.client, request("seconds=0.05", steps=150))
    next(drawing)
    drawing.close()
    with server.client() as client:
        job = client.jobs(newest=1)[0].job
        client.resume(job)
        *_, last = client.events(job)
        assert last.type == "cancelled"


def test_a_job_cancelled_elsewhere_is_said(server):
    drawing = remote_pipeline.draw(server.client, request("seconds=0.05", steps=150))
    next(drawing)
    with server.client() as client:
        client.cancel(client.jobs(newest=1)[0].job)
        with pytest.raises(remote_pipeline.Stopped):
            list(drawing)


def test_a_lost_connection_is_made_again_and_nothing_is_missing_or_twice(server, monkeypatch):
    monkeypatch.setattr(remote_pipeline, "_PAUSE", 0.0)
    made = []

    def connect():
        if len(made) == 1:  # the first try to come back fails
            made.append(None)
            raise ConnectionRefusedError("not yet")
        made.append(server.client())
        return made[-1]

    layers, told = [], []
    for event in remote_pipeline.draw(connect, request("layers=4 side=300 notices=2")):
        if isinstance(event, Notice):
            told.append(event.text)
        if isinstance(event, LayerReady):
            layers.append(event.index)
            if len(layers) == 2 and len(made) == 1:
                made[0].close()
    assert layers == [0, 1, 2, 3]
    assert told == [scripted.notice_text(5, number) for number in range(2)]
    assert len(made) >= 3
    assert all(np.array_equal(layer.pixels, scripted.pixels(5, i, 300)) for i, layer in enumerate(event.stack))


def stacks(drawing):
    return [event.stack for event in drawing if isinstance(event, Finished)]


def states(server, newest):
    """How the newest jobs ended, newest first."""
    with server.client() as client:
        ends = []
        for summary in client.jobs(newest=newest):
            client.resume(summary.job)
            *_, last = client.events(summary.job)
            ends.append(last.type)
        return ends


def test_several_pictures_are_queued_at_once_and_come_one_after_the_other(server):
    drawn = stacks(remote_pipeline.draw(server.client, request(), seeds=(5, 6, 7)))
    assert [np.array_equal(s.layers[1].pixels, scripted.pixels(5 + i, 1, 8)) for i, s in enumerate(drawn)] == [True] * 3
    with server.client() as client:
        assert all(job.fetched for job in client.jobs(newest=3))


def test_several_pictures_survive_a_lost_connection(server, monkeypatch):
    monkeypatch.setattr(remote_pipeline, "_PAUSE", 0.0)
    made, drawn = [], []

    def connect():
        made.append(server.client())
        return made[-1]

    for event in remote_pipeline.draw(connect, request("layers=3 side=300"), seeds=(5, 6, 7)):
        if isinstance(event, Finished):
            drawn.append(event.stack)
        elif isinstance(event, LayerReady) and event.index == 1 and len(made) == len(drawn) + 1 < 3:
            made[-1].close()
    assert len(made) == 3
    for number, stack in enumerate(drawn):
        assert [np.array_equal(each.pixels, scripted.pixels(5 + number, i, 300)) for i, each in enumerate(stack)] == (
            [True] * 3
        )


def test_closing_cancels_all_that_is_not_drawn_yet(server):
    drawing = remote_pipeline.draw(server.client, request("seconds=0.05", steps=150), seeds=(1, 2, 3))
    next(drawing)
    drawing.close()
    assert states(server, newest=3) == ["cancelled"] * 3


def test_a_failure_cancels_the_pictures_after_it(server):
    with pytest.raises(Refusal):
        list(remote_pipeline.draw(server.client, request("huge"), seeds=(1, 2)))
    assert set(states(server, newest=2)) <= {"failed", "cancelled"}


def test_a_server_that_does_not_come_back_is_given_up(server, monkeypatch):
    monkeypatch.setattr(remote_pipeline, "_PAUSE", 0.0)
    monkeypatch.setattr(remote_pipeline, "_TRIES", 3)
    clients = [server.client()]

    def connect():
        if not clients:
            raise ConnectionRefusedError("gone for good")
        return clients.pop()

    drawing = remote_pipeline.draw(connect, request("seconds=0.05", steps=150))
    client = clients[0]
    next(drawing)
    client.close()
    with pytest.raises(ConnectionRefusedError, match="gone for good"):
        list(drawing)
    with server.client() as again:
        again.cancel(again.jobs(newest=1)[0].job)


# ---- the client by itself


def finished(client):
    job = new_job()
    client.submit(translate.to_submit(request(), job))
    *_, done = client.events(job)
    assert done.type == "done"
    return job


def test_layers_and_files_can_be_had_again(server, tmp_path):
    with server.client() as client:
        job = finished(client)
        assert client.fetch(job, 1).pixels == scripted.bgra(5, 1, 8)
        (tmp_path / "a.psd").write_bytes(client.export(job, "psd"))
        with pytest.raises(Refusal) as refused:
            client.fetch(job, 9)
        assert refused.value.code == "unknown_layer"
        with pytest.raises(Refusal) as refused:
            client.export(new_job(), "png")
        assert refused.value.code == "unknown_job"
    assert len(formats.load(tmp_path / "a.psd")) == 2


def test_a_picture_can_be_drawn_again(server):
    with server.client() as client:
        job, again = finished(client), new_job()
        client.resubmit(again, of=job)
        layers = [event for event in client.events(again) if hasattr(event, "pixels")]
        assert [hashlib.sha256(layer.pixels).digest() for layer in layers] == [
            hashlib.sha256(scripted.bgra(5, index, 8)).digest() for index in range(2)
        ]
        with pytest.raises(Refusal):
            client.resubmit(new_job(), of=new_job())


# ---- the command


def command(folder, *arguments):
    return [
        *("generate", "an apple", "--background", "a beach", "--blended", "layers=2 side=8", "--steps", "2"),
        *("--size", "64x64", "--seed", "3", "--out", str(folder / "a.ora"), *arguments),
    ]


@pytest.mark.parametrize("how", ["local", "url", "token in a file"])
def test_the_command_draws_and_saves(server, tmp_path, monkeypatch, capsys, how):
    arguments = ["--server", "local" if how == "local" else server.runtime.url]
    if how == "url":
        monkeypatch.setenv("LAYERFUSION_TOKEN", server.runtime.token)
    elif how != "local":
        (tmp_path / "token").write_text(server.runtime.token + "\n")
        (tmp_path / "token").chmod(0o600)
        arguments += ["--token-file", str(tmp_path / "token")]
    assert main(command(tmp_path, *arguments)) == 0
    out, err = capsys.readouterr()
    assert re.search(r"a\.ora  64x64 px, 2 layers, 0\.0 MB, seed 3$", out, re.MULTILINE)
    assert "drawing" in err
    assert server.runtime.token not in out + err
    assert np.array_equal(formats.load(tmp_path / "a.ora").layers[1].pixels, scripted.pixels(3, 1, 8))


def test_the_command_tells_what_must_be_known_of_the_picture(server, tmp_path, capsys):
    for quiet in ([], ["--quiet"]):
        (tmp_path / "a.ora").unlink(missing_ok=True)
        arguments = ["--blended", "layers=1 notices=2", "--server", "local", *quiet]
        assert main(command(tmp_path, *arguments)) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "Notice" in line] == [scripted.notice_text(3, n) for n in range(2)]


def test_the_command_draws_variants_of_which_a_program_learns(server, tmp_path, capsys):
    assert main(command(tmp_path, "--server", "local", "--variants", "3", "--json", "--quiet")) == 0
    out, err = capsys.readouterr()
    assert err == ""
    told = json.loads(out)
    assert [each["seed"] for each in told["pictures"]] == [3, 4, 5]
    for number, each in enumerate(told["pictures"], start=1):
        assert each["file"] == str(tmp_path / f"a-{number}.ora")
        stack = formats.load(each["file"])
        assert np.array_equal(stack.layers[1].pixels, scripted.pixels(each["seed"], 1, 8))
    with server.client() as client:
        assert told["model"] == client.welcome.models[0].name


def test_without_a_name_the_servers_own_first_model_draws(server, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        remote_command, "draw", lambda connect, made, seeds: asked.append(made.model) or draw(connect, made)
    )
    monkeypatch.setattr(remote_command.Remote, "first_model", lambda self: "a model of its own")
    assert main(command(tmp_path, "--server", "local")) == 2
    assert asked == ["a model of its own"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--server", "http://127.0.0.1/"], 2, "is no server"),
        (["--server", "ws://[::1"], 2, "is no server"),
        (["--server", "127.0.0.1:8737"], 2, "is no server"),
        (["--server", "ws://127.0.0.1:1/"], 2, "wants its token"),
        (["--server", "ws://127.0.0.1:1/", "--token-file", "{token}"], 1, "No connection to ws://127.0.0.1:1/"),
        (["--server", "{url}", "--token-file", "{token}"], 1, "refused the connection: 401"),
        (["--server", "wss://127.0.0.1:1/", "--token-file", "{token}", "--tls-ca", "{token}"], 2, "certificate"),
        (["--server", "local", "--model", "none"], 2, "none"),
        (["--server", "local", "--masks"], 2, "--masks"),
    ],
)
def test_the_command_says_why_not(server, tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.delenv("LAYERFUSION_TOKEN", raising=False)
    token = tmp_path / "token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    filled = [argument.format(token=token, url=server.runtime.url) for argument in arguments]
    assert main(command(tmp_path, *filled)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "a.ora").exists()


def test_no_server_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    assert main(command(tmp_path, "--server", "local")) == 1
    assert "No server is running" in capsys.readouterr().err


def test_several_clients_draw_at_the_same_time(server):
    results = {}

    def work(seed):
        *_, last = remote_pipeline.draw(lambda: Client.connect(server.runtime, timeout=SECONDS), request(seed=seed))
        results[seed] = last.stack

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(results) == [0, 1, 2, 3]
    for seed, stack in results.items():
        assert np.array_equal(stack.layers[1].pixels, scripted.pixels(seed, 1, 8))
