"""Attacks on a running server, and how it refuses them. SECURITY.md lists them."""

import contextlib
import http.client
import logging
import struct
from dataclasses import replace

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bare import HELLO, WIRE, greeted, raw_submit, refusal
from layerfusion.server.net.session import MAX_MESSAGE
from layerfusion.server.protocol.frames import MAX_FRAME
from layerfusion.server.protocol.messages import Generated, Kept, Refused
from running import SECONDS

PATHS = ["../../etc/passwd", "/etc/passwd", "C:\\Windows\\win.ini", "\\\\evil\\share", "a/b", "..", ".", "a\0b", ""]


# ---- a web page, another user, another program


def test_a_web_page_cannot_open_a_websocket(subtests, server):
    for origin in ["http://evil.example", "null", "http://127.0.0.1", "file://", "http://localhost:8737"]:
        with subtests.test(origin=origin):
            with pytest.raises(InvalidStatus) as refused:
                server.socket(Origin=origin)
            assert refused.value.response.status_code == 403


def test_dns_rebinding_is_refused(subtests, server):
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.", "127.1", "2130706433"]:
        with subtests.test(host=host):
            with pytest.raises(InvalidStatus) as refused:
                server.socket(Host=host)
            assert refused.value.response.status_code == 421


def test_another_user_has_no_token(subtests, server):
    for token in [None, "", "Bearer", "Bearer x", "Basic dTpw", "Bearer {token}x", "bearer {token}"]:
        with subtests.test(token=token):
            value = "" if token is None else token.format(token=server.runtime.token)
            with pytest.raises(InvalidStatus) as refused:
                server.socket(Authorization=value)
            assert refused.value.response.status_code == 401


def test_a_token_in_the_url_is_not_accepted(server):
    assert server.get(f"/?token={server.runtime.token}")[0] == 404
    assert server.get(f"/?token={server.runtime.token}", Authorization="")[0] == 401


def test_the_token_has_256_random_bits(server):
    assert len(server.runtime.token) == 43


def test_a_form_on_a_web_page_can_do_nothing(subtests, server):
    """Only GET is supported, so a cross-site form can change nothing, and no CORS header allows more."""
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]:
        with subtests.test(method=method):
            request = http.client.HTTPConnection(*server.address, timeout=SECONDS)
            with contextlib.closing(request), contextlib.suppress(http.client.HTTPException, ConnectionError):
                request.request(method, "/", body=b"a=b", headers=server.headers)
                answer = request.getresponse()
                assert answer.status >= 400
                assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]
            assert server.still_serves()


# ---- nothing is named by a path


def test_model_names_are_looked_up_and_never_opened_as_files(subtests, server):
    for path in PATHS:
        for field in ["model", "sampler"]:
            with subtests.test(path=path, field=field):
                with greeted(server) as raw:
                    raw.send(raw_submit(**{field: path}))
                    answer = WIRE.decode(raw.recv(SECONDS))
                assert answer.type == "failed"
                assert answer.code in ("unknown_model", "invalid_request", "invalid_message")


def test_ids_of_jobs_and_layers_cannot_be_paths(subtests, server):
    for path in PATHS:
        with subtests.test(path=path):
            kept = {**Kept(layer="0" * 64, width=1, height=1, name="x", prompt="x").to_map(), "layer": path}
            with greeted(server) as raw:
                raw.send(raw_submit(foregrounds=[kept]))
                assert WIRE.decode(raw.recv(SECONDS)).code == "invalid_message"
            for message in (
                {"type": "cancel", "job": path},
                {"type": "upload", "transfer": 0, "layer": path, "bytes": 4},
            ):
                with greeted(server) as raw:
                    assert refusal(raw, msgpack.packb(message)) == ("invalid_message", 1008)


# ---- bombs


def test_compressed_frames_are_refused(server):
    with greeted(server) as raw:
        raw.socket.sendall(struct.pack(">BB4x", 0x80 | 0x40 | 0x02, 0x80))  # RSV1: “deflated”
        with pytest.raises(ConnectionClosed) as closed:
            raw.recv(SECONDS)
    assert closed.value.rcvd.code == 1002
    assert server.still_serves()


BOMBS = {
    "a message that only claims to be long": (b"\xdf\xff\xff\xff\xff", "bad_frame"),
    "nested 100,000 deep": (b"\x91" * 100_000, "bad_frame"),
    "a map of maps, 100,000 deep": (b"\x81\xa1a" * 100_000, "bad_frame"),
    "a map of 1000 keys": (msgpack.packb({str(i): i for i in range(1000)}), "bad_frame"),
    "a list of 100,000": (msgpack.packb({"type": "hello", "list": [0] * 100_000}), "bad_frame"),
    "a type of its own": (msgpack.packb({"type": "hello", "x": msgpack.ExtType(5, b"cos\nsystem")}), "bad_frame"),
    "a message of a megabyte": (msgpack.packb({"type": "x", "y": bytes(MAX_MESSAGE)}), "too_large"),
    "no map": (msgpack.packb([1, 2, 3]), "bad_frame"),
    "keys that are no text": (msgpack.packb({1: 2}), "bad_frame"),
}


def test_msgpack_with_huge_announced_sizes_is_refused(subtests, server):
    for case, (frame, code) in BOMBS.items():
        with subtests.test(case):
            with greeted(server) as raw:
                assert refusal(raw, frame) == (code, 1008)
            assert server.still_serves()


def test_a_frame_above_the_limit_is_not_read(server):
    with greeted(server) as raw:
        assert refusal(raw, bytes(MAX_FRAME + 1)) == (None, 1009)
    assert server.still_serves()


def test_a_frame_in_endless_fragments_is_refused(server):
    with greeted(server) as raw:
        code = None
        try:
            raw.send(bytes(2**16) for _ in range(1000))
            raw.recv(SECONDS)
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
    assert code == 1009
    assert server.still_serves()


# ---- what is written down


def test_neither_prompts_nor_the_token_are_logged(server, caplog):
    """This includes the log level DEBUG."""
    secret = "my unannounced character"
    with caplog.at_level(logging.INFO):
        with greeted(server) as raw:
            raw.send(raw_submit(width=63, background=Generated(prompt=secret).to_map()))
            WIRE.decode(raw.recv(SECONDS))
        with greeted(server) as raw:
            raw.send(raw_submit(width="wide", background={"kind": "generated", "prompt": secret, "seed": secret}))
            WIRE.decode(raw.recv(SECONDS))
        with greeted(server) as raw:
            assert refusal(raw, msgpack.packb({"type": "cancel", "job": secret}))[0] == "invalid_message"
        with contextlib.suppress(InvalidStatus):
            server.socket(Authorization=f"Bearer {server.runtime.token}x")
    assert caplog.text, "the test looks at a log"
    assert secret not in caplog.text
    assert server.runtime.token not in caplog.text


def test_what_a_client_calls_itself_cannot_forge_log_lines(server, caplog):
    with caplog.at_level(logging.INFO), server.socket() as raw:
        raw.send(WIRE.encode(replace(HELLO, client="me\nERROR server: all is lost\x1b[2J")))
        raw.recv(SECONDS)
    assert not [record for record in caplog.records if "\n" in record.getMessage() or "\x1b" in record.getMessage()]


def test_the_last_message_names_the_error(server):
    with greeted(server) as raw:
        raw.send(b"garbage")
        answer = WIRE.decode(raw.recv(SECONDS))
    assert isinstance(answer, Refused)
    assert answer.message


@pytest.mark.parametrize("depth", [17, 60, 1000, 100_000])
def test_frames_nested_deep_are_refused_and_no_traceback_is_logged(server, caplog, depth):
    """In a field of a message, as a map without a type, and before the greeting."""
    nested = b"\x91" * depth + b"\xc0"
    frames = [
        b"\x83\xa4type\xa6submit\xa3job\xa1x\xaabackground" + nested,
        b"\x82\xa4type\xa5hello\xa8protocol" + nested,
        nested,
    ]
    for frame in frames:
        with greeted(server) as raw:
            assert refusal(raw, frame) == ("bad_frame", 1008)
        with server.socket() as raw:
            assert refusal(raw, frame) == ("bad_frame", 1008)
    assert "Traceback" not in caplog.text
    assert server.still_serves()
