"""Who may connect."""

import pytest
from websockets.datastructures import Headers

from layerfusion.server.net.access import AccessPolicy

GOOD = {"Host": "127.0.0.1:8737", "Authorization": "Bearer secret"}


def status(headers, path="/", origins=()):
    refusal = AccessPolicy(8737, "secret", origins).refusal(path, Headers(headers))
    return None if refusal is None else refusal[0]


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


@pytest.mark.parametrize("host", ["127.0.0.1:8737", "localhost:8737", "LOCALHOST:8737", "[::1]:8737"])
def test_welcomes_the_server_by_its_own_names(host):
    assert status({**GOOD, "Host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8737",
        "127.0.0.1",
        "127.0.0.1:8738",
        "localhost",
        "localhost.evil.example:8737",
        "127.0.0.1:8737.",
        "",
    ],
)
def test_refuses_other_names(host):
    assert status({**GOOD, "Host": host}) == 421


def test_refuses_a_request_without_a_host():
    assert status(without("Host")) == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:8737"])
def test_refuses_web_pages(origin):
    assert status({**GOOD, "Origin": origin}) == 403


def test_welcomes_a_web_page_that_was_allowed_and_no_other():
    assert status({**GOOD, "Origin": "http://gallery.example"}, origins=("http://gallery.example",)) is None
    assert status({**GOOD, "Origin": "http://gallery.example.evil"}, origins=("http://gallery.example",)) == 403


def test_an_allowed_web_page_needs_the_token_too():
    headers = {**without("Authorization"), "Origin": "http://gallery.example"}
    assert status(headers, origins=("http://gallery.example",)) == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "secret",
        "Bearer",
        "Bearer ",
        "Bearer secre",
        "Bearer secret2",
        "Basic secret",
        "Bearer Secret",
        "Bearer sécret",
    ],
)
def test_refuses_a_wrong_token(authorization):
    assert status({**GOOD, "Authorization": authorization}) == 401


def test_refuses_a_missing_token():
    assert status(without("Authorization")) == 401


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("Host", "evil.example", 421), ("Origin", "null", 403), ("Authorization", "Bearer other", 401)],
)
@pytest.mark.parametrize("first", [True, False])
def test_refuses_a_header_that_comes_twice(name, value, expected, first):
    headers = Headers({**GOOD, **({"Origin": "http://gallery.example"} if name == "Origin" else {})})
    pairs = list(headers.raw_items())
    pairs = [(name, value), *pairs] if first else [*pairs, (name, value)]
    assert status(pairs, origins=("http://gallery.example",)) == expected


def test_the_host_is_looked_at_before_the_token():
    assert status({"Host": "evil.example"}) == 421


@pytest.mark.parametrize("path", ["/x", "//", "/?token=secret", "/../", ""])
def test_refuses_other_paths(path):
    assert status(GOOD, path=path) == 404
