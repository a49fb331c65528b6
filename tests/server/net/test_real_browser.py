"""The page, its sign-in and its limits in a real Chromium, beside a page of another site.

Skipped without Debian's packages chromium and chromium-driver, and without selenium (in the extra `dev`).
"""

import base64
import contextlib
import functools
import http.server
import threading
from typing import ClassVar

import pytest

import chromium
import scripted
from chromium import wait_for
from layerfusion.server.client import browser
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import Generated
from running import Running
from samples import submit

pytestmark = chromium.NEEDED

OPEN_SOCKET = """
const [url, protocols, done] = arguments;
const socket = new WebSocket(url, protocols);
socket.onopen = () => { done("open " + socket.protocol); socket.close(); };
socket.onerror = () => done("refused");
"""
FETCH = """
const [url, headers, done] = arguments;
fetch(url, {headers, credentials: "include"}).then((answer) => done(answer.status), () => done("blocked"));
"""


class Elsewhere(http.server.SimpleHTTPRequestHandler):
    """Another server on this host: the same site for a browser, because sites have no ports."""

    cookies: ClassVar[list[str]] = []

    def do_GET(self):
        self.cookies.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The origin of a page that is not ours."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_file, elsewhere):
    """A server that allows the page elsewhere under its other name only."""
    allowed = elsewhere.replace("127.0.0.1", "localhost")
    with Running(tmp_path_factory.mktemp("jobs"), scripted.load, origins=(allowed,), max_connections=16) as running:
        yield running


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def sign_in(driver, server):
    """Sign the browser in as `layerfusion status --browser` does."""
    code = chromium.sign_in(driver, server)
    wait_for(driver, "Signed in as the owner")
    return code


def key_of(driver):
    return driver.execute_script("return localStorage.getItem('layerfusion-key')")


def test_the_page_signs_in_and_shows_the_jobs_as_text(driver, server):
    job = submit(background=Generated(prompt="<img src=x onerror=document.title='run'>"))
    with server.client() as client:
        client.submit(job)
        list(client.events(job.job))
    driver.get_log("browser")
    sign_in(driver, server)
    wait_for(driver, "onerror=document.title")
    assert driver.title == "LayerFusion server"
    assert not [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]]


def test_the_code_is_neither_in_the_address_nor_in_the_history(driver, server):
    code = sign_in(driver, server)
    assert driver.current_url == browser.address(server.runtime)
    shown = driver.execute_script("return document.documentElement.outerHTML + JSON.stringify(history.state)")
    assert code not in shown
    driver.execute_script("history.back()")
    driver.get(browser.address(server.runtime))
    wait_for(driver, "Signed in as the owner")  # it stays signed in without a code
    assert code not in driver.execute_script("return performance.getEntries().map((entry) => entry.name).join()")


def test_no_script_can_read_the_cookie(driver, server):
    sign_in(driver, server)
    assert driver.execute_script("return document.cookie") == ""
    (cookie,) = driver.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")


def test_the_page_opens_a_websocket_with_cookie_and_key(driver, server):
    sign_in(driver, server)
    key = key_of(driver)
    opened = functools.partial(driver.execute_async_script, OPEN_SOCKET, server.runtime.url)
    assert opened(["layerfusion", f"layerfusion.key.{key}"]) == "open layerfusion"
    assert opened(["layerfusion", f"layerfusion.key.x{key}"]) == "refused"
    assert opened(["layerfusion"]) == "refused"


def test_a_page_elsewhere_gets_nothing_even_with_the_key(driver, server, elsewhere):
    """It is on another port of the same host, so that the browser does send the cookie."""
    sign_in(driver, server)
    key = key_of(driver)
    Elsewhere.cookies.clear()
    driver.get(elsewhere)
    assert "layerfusion-" in Elsewhere.cookies[0], "without this, the key would not be needed"
    protocols = ["layerfusion", f"layerfusion.key.{key}"]
    assert driver.execute_async_script(OPEN_SOCKET, server.runtime.url, protocols) == "refused"
    address = browser.address(server.runtime)
    for path, headers in [("", {}), ("status", {}), ("status", {"X-Layerfusion-Key": key})]:
        assert driver.execute_async_script(FETCH, address + path, headers) == "blocked"
    assert driver.execute_script("return localStorage.getItem('layerfusion-key')") is None


@pytest.mark.parametrize("page", ["", "studio"])
def test_the_page_cannot_be_framed(driver, server, elsewhere, page):
    driver.get(elsewhere)
    framed = """
    const [url, done] = arguments;
    const frame = document.createElement("iframe");
    frame.onload = () => { try { done(String(frame.contentDocument)); } catch (error) { done("blocked"); } };
    frame.src = url;
    document.body.append(frame);
    """
    driver.get_log("browser")
    driver.execute_async_script(framed, browser.address(server.runtime, page))
    refused = [entry["message"] for entry in driver.get_log("browser")]
    assert any("frame-ancestors" in message for message in refused), refused


def test_a_name_that_was_pointed_at_this_machine_shows_nothing(tmp_path, server):
    """DNS rebinding: the page of another site whose name leads to the server by now."""
    port = server.address[1]
    with chromium.opened(tmp_path, arguments=["--host-resolver-rules=MAP rebound.example 127.0.0.1"]) as rebound:
        for path in ("studio", "studio/studio.js", "status", ""):
            rebound.get(f"http://rebound.example:{port}/{path}")
            shown = rebound.execute_script("return document.documentElement.outerHTML")
            assert "LayerFusion" not in shown
        protocols = ["layerfusion", "layerfusion.key.x"]
        assert rebound.execute_async_script(OPEN_SOCKET, f"ws://rebound.example:{port}/", protocols) == "refused"


def test_scripts_in_the_page_are_not_run(driver, server):
    driver.get(browser.address(server.runtime))
    inline = """
    const script = document.createElement("script");
    script.text = "document.title = 1";
    document.head.append(script);
    """
    with contextlib.suppress(Exception):  # Trusted Types refuse the assignment itself
        driver.execute_script(inline)
    assert driver.title == "LayerFusion server"


def test_a_page_of_an_allowed_origin_connects_with_the_token(driver, server, elsewhere):
    driver.get(elsewhere.replace("127.0.0.1", "localhost"))
    token = base64.urlsafe_b64encode(server.runtime.token.encode()).decode().rstrip("=")
    opened = functools.partial(driver.execute_async_script, OPEN_SOCKET, server.runtime.url)
    assert opened(["layerfusion", f"layerfusion.token.{token}"]) == "open layerfusion"
    assert opened(["layerfusion", f"layerfusion.token.x{token}"]) == "refused"
    driver.get(elsewhere)
    assert opened(["layerfusion", f"layerfusion.token.{token}"]) == "refused"


def test_the_page_signs_out_and_takes_a_typed_code(driver, server):
    sign_in(driver, server)
    driver.find_element("id", "signout").click()
    wait_for(driver, "not signed in")
    for code, words in [
        ("WRONG", "wrong, used or too old"),
        (browser.new_code(server.runtime), "Signed in as the owner"),
    ]:
        driver.find_element("id", "code").send_keys(code)
        driver.find_element("css selector", "#signin button").click()
        wait_for(driver, words)


def test_the_page_says_when_the_server_has_gone(driver, tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    with Running(tmp_path / "jobs", scripted.load) as brief:
        sign_in(driver, brief)
    wait_for(driver, "does not answer")
