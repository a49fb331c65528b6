"""The requests that are no websocket: what they say, to whom, and with which headers."""

import contextlib
import http.client
import json
import re
import sys

import pytest
from websockets.exceptions import InvalidStatus

from bare import HELLO, WIRE
from layerfusion.server.client import browser
from layerfusion.server.net.http import CODE_HEADER
from layerfusion.server.protocol import location
from running import SECONDS


def get(server, path, *, token=False, **headers):
    """(status, headers, text) of the answer to a request without or with the token."""
    with contextlib.closing(http.client.HTTPConnection(*server.address, timeout=SECONDS)) as request:
        request.request("GET", path, headers={**(server.headers if token else {}), **headers})
        answer = request.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def sign_in(server, **headers):
    """Sign a browser in. Return its cookie header and its key."""
    _, _, code = get(server, "/code", token=True)
    status, answered, text = get(server, "/session", **{CODE_HEADER: code.strip(), **headers})
    assert status == 200
    return answered["Set-Cookie"].partition(";")[0], json.loads(text)["key"]


def signed_in_socket(server, cookie, key, **headers):
    own, port = server.address
    page = {"Origin": f"http://{own}:{port}", "Cookie": cookie, **headers}
    return server.socket(Authorization=None, subprotocols=["layerfusion", f"layerfusion.key.{key}"], **page)


def test_every_answer_forbids_framing_caching_sniffing_and_foreign_scripts(subtests, server):
    """Clickjacking, leaks into caches, and scripts or connections of others."""
    for path in [
        "/",
        "/page.js",
        "/page.css",
        "/studio",
        "/studio/studio.js",
        "/status",
        "/code",
        "/session",
        "/nothing",
    ]:
        for token in [True, False]:
            with subtests.test(path=path, token=token):
                _, headers, _ = get(server, path, token=token)
                policy = headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "script-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Referrer-Policy"] == "no-referrer"
                assert headers["Cache-Control"] == "no-store"
                assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert not [name for name in headers if name.lower().startswith("access-control")]


def test_refusals_have_them_too(server):
    status, headers, _ = get(server, "/", Host="evil.example")
    assert status == 421
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_the_page_has_no_secrets_and_nothing_inline(server):
    _, headers, page = get(server, "/")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert server.runtime.token not in page
    assert re.findall(r"(?:src|href)=\"([^\"]+)\"", page) == ["/page.css", "/page.js", "/studio"]
    assert not re.search(r"\son\w+=|<style|style=|<script(?! src)", page)


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(server):
    _, _, code = get(server, "/code", token=True)
    _, headers, _ = get(server, "/session", **{CODE_HEADER: code.strip()})
    name, *attributes = headers["Set-Cookie"].split("; ")
    assert name.startswith(f"layerfusion-{server.address[1]}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert not [each for each in attributes if each.startswith("Domain")]


def test_a_code_is_exchanged_once(server):
    _, _, code = get(server, "/code", token=True)
    assert [get(server, "/session", **{CODE_HEADER: code.strip()})[0] for _ in range(3)] == [200, 403, 403]


def test_a_code_in_a_url_is_no_code(server):
    _, _, code = get(server, "/code", token=True)
    assert get(server, f"/session?code={code.strip()}")[0] == 401
    assert get(server, "/session", **{CODE_HEADER: code.strip()})[0] == 200


def test_other_sites_cannot_exchange_a_code(subtests, server):
    """A link or script elsewhere could sign the artist in as somebody else."""
    for headers in [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this host
        {"Sec-Fetch-Site": "none"},  # the address bar: a page sends no such header then
    ]:
        with subtests.test(headers=headers):
            _, _, code = get(server, "/code", token=True)
            assert get(server, "/session", **{CODE_HEADER: code.strip(), **headers})[0] == 403
    assert get(server, "/session", Host="evil.example", **{CODE_HEADER: code.strip()})[0] == 421


def test_codes_and_the_state_are_for_those_who_are_known(subtests, server):
    cookie, key = sign_in(server)
    for path in ["/code", "/status", "/signout"]:
        for case, headers in [("nobody", {}), ("cookie", {"Cookie": cookie}), ("key", {"X-Layerfusion-Key": key})]:
            with subtests.test(case, path=path):
                assert get(server, path, **headers)[0] == 401


def test_a_signed_in_page_sees_the_state(server):
    cookie, key = sign_in(server)
    status, headers, text = get(server, "/status", Cookie=cookie, **{"X-Layerfusion-Key": key})
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    found = json.loads(text)
    assert (found["user"], found["jobs"]) == ("", [])
    assert set(found["health"]) == {"worker", "store", "disk"}


def test_a_signed_in_page_opens_a_websocket(server):
    cookie, key = sign_in(server)
    with signed_in_socket(server, cookie, key) as raw:
        assert raw.subprotocol == "layerfusion"
        raw.send(WIRE.encode(HELLO))
        assert WIRE.decode(raw.recv(SECONDS)).type == "welcome"


def test_a_signed_out_page_does_not(server):
    cookie, key = sign_in(server)
    _, headers, _ = get(server, "/signout", Cookie=cookie, **{"X-Layerfusion-Key": key})
    assert "Max-Age=0" in headers["Set-Cookie"]
    with pytest.raises(InvalidStatus) as refused:
        signed_in_socket(server, cookie, key)
    assert refused.value.response.status_code == 401


def test_another_page_cannot_use_the_cookie_for_a_websocket(subtests, server):
    cookie, key = sign_in(server)
    for origin in ["http://evil.example", f"http://127.0.0.1:{server.address[1] + 1}", "null"]:
        with subtests.test(origin=origin):
            with pytest.raises(InvalidStatus) as refused:
                signed_in_socket(server, cookie, key, Origin=origin)
            assert refused.value.response.status_code == 403


def test_no_secret_is_in_the_answer_to_a_websocket(server):
    cookie, key = sign_in(server)
    with signed_in_socket(server, cookie, key) as raw:
        answered = str(raw.response.headers)
    assert key not in answered
    assert server.runtime.token not in answered


def test_codes_cookies_and_keys_are_not_logged(server, caplog):
    with caplog.at_level("DEBUG", logger="layerfusion"), caplog.at_level("INFO"):
        _, _, code = get(server, "/code", token=True)
        cookie, key = sign_in(server)
        signed_in_socket(server, cookie, key).close()
    assert not [word for word in (code.strip(), cookie.partition("=")[2], key) if word in caplog.text]


# ---- from the command line to the browser


def test_a_program_opens_the_page_with_a_file_that_only_the_user_can_read(server):
    seen = {}

    def show(url):
        file = location.path().parent / url.rpartition("/")[2]
        seen["mode"], seen["url"] = file.stat().st_mode & 0o777, url
        address, code = re.search(r'replace\("(http://[^#]+)#code=([A-Z0-9-]+)"\)', file.read_text()).groups()
        assert get(server, "/session", **{CODE_HEADER: code})[0] == 200
        assert address == browser.address(server.runtime)
        return True

    code = browser.new_code(server.runtime)
    assert browser.open_page(server.runtime, code, seconds=SECONDS, show=show)
    assert code not in seen["url"]
    assert seen["mode"] & 0o077 == 0 or sys.platform == "win32"
    assert not list(location.path().parent.glob("open-*"))


def test_without_a_browser_nothing_is_left_behind(server):
    assert not browser.open_page(server.runtime, browser.new_code(server.runtime), show=lambda _: False)
    assert not browser.open_page(server.runtime, browser.new_code(server.runtime), seconds=0, show=lambda _: True)
    assert not list(location.path().parent.glob("open-*"))
