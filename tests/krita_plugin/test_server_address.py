"""What the settings dialog says about an address, a token and a certificate that were entered."""

import os
import threading
from dataclasses import replace

import msgpack
import pytest
from websockets.sync.server import serve

from controller_harness import greeting
from layerfusion.server.protocol import location
from layerfusion.server.protocol.location import Runtime
from layerfusion.server.protocol.wire import Wire

WIRE = Wire(msgpack.packb, msgpack.unpackb)


@pytest.fixture
def server_address(plugin, monkeypatch, tmp_path):
    from krita_layerfusion import server_address

    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    return server_address


def refused(server_address, *entered):
    with pytest.raises(server_address.Unusable) as caught:
        server_address.entered(*entered)
    answer = caught.value.answer
    assert not answer.good
    assert answer.remedy
    return answer.words


def test_what_cannot_be_used_is_named(server_address, tmp_path):
    for address in ("", "studio", "http://studio:1/", "ws://", "ws://host:0/", "ws://host:70000/", "wss://[::1/"):
        assert f"“{address}” is not the address" in refused(server_address, address, "secret", "")
    assert refused(server_address, "ws://host:1/", "  ", "") == "The token is missing."
    missing, broken = tmp_path / "no.pem", tmp_path / "broken.pem"
    broken.write_text("no certificate")
    for file in (missing, broken):
        assert f"“{file}” cannot be used" in refused(server_address, "wss://host:1/", "secret", str(file))


def test_what_was_entered_is_another_computers_server(server_address):
    runtime = server_address.entered(" wss://host:1/ ", " secret\n", "")
    assert (runtime.url, runtime.token, runtime.is_elsewhere) == ("wss://host:1/", "secret", True)


def told(server_address, url):
    answer = server_address.tried(server_address.entered(url, "secret", ""))
    assert answer.remedy
    return answer.words


def test_why_there_is_no_connection_is_said_in_words(server_address):
    assert server_address.tried(None).words == "No server is running on this computer."
    assert told(server_address, "ws://127.0.0.1:9/") == "No server answers at ws://127.0.0.1:9/."
    assert told(server_address, "ws://nowhere.invalid:1/") == "There is no computer named “nowhere.invalid”."


def answering(handle, **options):
    server = serve(handle, "127.0.0.1", 0, compression=None, close_timeout=0.2, **options)
    return server, f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"


@pytest.fixture
def running():

    started = []

    def start(handle, **options):
        server, url = answering(handle, **options)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        started.append((server, thread))
        return url

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()


def test_a_server_that_refuses_the_token_is_told_from_one_that_refuses_otherwise(server_address, running):
    wrong = running(lambda _: None, process_request=lambda connection, _: connection.respond(401, "No.\n"))
    assert told(server_address, wrong) == "The server does not know this token."
    other = running(lambda _: None, process_request=lambda connection, _: connection.respond(421, "Wrong host.\n"))
    answer = server_address.tried(server_address.entered(other, "secret", ""))
    assert answer.words == "The server refused the connection (421 Wrong host.)."


def test_something_else_behind_the_port_is_no_server(server_address, running):
    url = running(lambda _: None).replace("ws:", "wss:")
    assert "is no LayerFusion server" in told(server_address, url)


@pytest.mark.parametrize(("problem", "good"), [("", True), ("The worker cannot start.", False)])
def test_a_server_that_answers_says_its_version_and_models(server_address, running, wire, problem, good):

    welcome = replace(greeting(wire).welcome, problem=problem)

    def handle(connection):
        connection.recv()
        connection.send(WIRE.encode(welcome))

    answer = server_address.tried(server_address.entered(running(handle), "secret", ""))
    assert answer.good == good
    assert (problem or "Embedded demo model") in answer.words


def test_a_server_elsewhere_is_used_until_this_computers_is_chosen(server_address):
    runtime = server_address.entered("wss://host:1/", "secret", "")
    server_address.use(runtime)
    assert location.read().to_map() == runtime.to_map()
    server_address.use(None)
    assert location.read() is None
    server_address.use(None)


def test_a_server_that_runs_on_this_computer_is_not_replaced(server_address):
    here = Runtime(url="ws://127.0.0.1:1/", token="a", pid=os.getpid(), version="0.1.0", protocol="1.0")
    location.write(here)
    server_address.use(None)
    with pytest.raises(server_address.Unusable, match="running on this computer"):
        server_address.use(server_address.entered("wss://host:1/", "secret", ""))
    assert location.read() == here
