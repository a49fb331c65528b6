"""The access policy: host, origin, token and path."""

from websockets.datastructures import Headers

from layerfusion.server.net.access import AccessPolicy

GOOD = {"Host": "127.0.0.1:8737", "Authorization": "Bearer secret"}


def status(headers, path="/", origins=()):
    refusal = AccessPolicy(8737, "secret", origins).refusal(path, Headers(headers))
    return None if refusal is None else refusal[0]


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def test_allows_the_servers_own_names(subtests):
    for host in ["127.0.0.1:8737", "localhost:8737", "LOCALHOST:8737", "[::1]:8737"]:
        with subtests.test(host=host):
            assert status({**GOOD, "Host": host}) is None


def test_refuses_other_names(subtests):
    for host in [
        "evil.example:8737",
        "127.0.0.1",
        "127.0.0.1:8738",
        "localhost",
        "localhost.evil.example:8737",
        "127.0.0.1:8737.",
        "",
    ]:
        with subtests.test(host=host):
            assert status({**GOOD, "Host": host}) == 421


def test_refuses_a_request_without_a_host():
    assert status(without("Host")) == 421


def test_refuses_web_pages(subtests):
    for origin in ["http://evil.example", "null", "", "http://127.0.0.1:8737"]:
        with subtests.test(origin=origin):
            assert status({**GOOD, "Origin": origin}) == 403


def test_allows_only_the_configured_origins():
    assert status({**GOOD, "Origin": "http://gallery.example"}, origins=("http://gallery.example",)) is None
    assert status({**GOOD, "Origin": "http://gallery.example.evil"}, origins=("http://gallery.example",)) == 403


def test_an_allowed_web_page_needs_the_token_too():
    headers = {**without("Authorization"), "Origin": "http://gallery.example"}
    assert status(headers, origins=("http://gallery.example",)) == 401


def test_refuses_a_wrong_token(subtests):
    for authorization in [
        "",
        "secret",
        "Bearer",
        "Bearer ",
        "Bearer secre",
        "Bearer secret2",
        "Basic secret",
        "Bearer Secret",
        "Bearer sécret",
    ]:
        with subtests.test(authorization=authorization):
            assert status({**GOOD, "Authorization": authorization}) == 401


def test_refuses_a_missing_token():
    assert status(without("Authorization")) == 401


def test_refuses_a_header_that_comes_twice(subtests):
    for name, value, expected in [
        ("Host", "evil.example", 421),
        ("Origin", "null", 403),
        ("Authorization", "Bearer other", 401),
    ]:
        for first in [True, False]:
            with subtests.test(name=name, value=value, expected=expected, first=first):
                headers = Headers({**GOOD, **({"Origin": "http://gallery.example"} if name == "Origin" else {})})
                pairs = list(headers.raw_items())
                pairs = [(name, value), *pairs] if first else [*pairs, (name, value)]
                assert status(pairs, origins=("http://gallery.example",)) == expected


def test_the_host_is_checked_before_the_token():
    assert status({"Host": "evil.example"}) == 421


def test_refuses_other_paths(subtests):
    for path in ["/x", "//", "/?token=secret", "/../", ""]:
        with subtests.test(path=path):
            assert status(GOOD, path=path) == 404
