"""The access policy: host, origin, token and path."""

import base64
from pathlib import Path

import pytest
from websockets.datastructures import Headers

from layerfusion.server.net.access import KEY_HEADER, SUBPROTOCOL, AccessPolicy, Refusal
from layerfusion.server.net.browsers import Browsers
from layerfusion.server.storage.users import OWNER, Users

GOOD = {"Host": "127.0.0.1:8737", "Authorization": "Bearer secret"}
NOWHERE = Path("/nowhere/at/all")


def policy(origins=(), browsers=None, **options):
    users = Users(NOWHERE, "secret")
    return AccessPolicy(8737, users, browsers or Browsers(users, NOWHERE), origins, **options)


def status(headers, origins=(), *, upgrade=True, **options):
    """The status with which a request is refused; None if the owner sends it."""
    access, headers = policy(origins, **options), Headers(headers)
    answer = access.check_address(headers) or access.user(headers, upgrade=upgrade)
    assert answer == OWNER or isinstance(answer, Refusal)
    return None if answer == OWNER else answer.status


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
    for origin in ["http://evil.example", "null", "", "http://127.0.0.1:8738", "https://127.0.0.1:8737"]:
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


# ---- pages of allowed origins

PAGE = {"Host": "127.0.0.1:8737", "Origin": "http://gallery.example"}
ORIGINS = ("http://gallery.example",)


def offered(token):
    """The header with which a browser sends a token."""
    text = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return {"Sec-WebSocket-Protocol": f"layerfusion, layerfusion.token.{text}"}


def test_a_page_of_an_allowed_origin_sends_the_token_as_a_subprotocol(subtests):
    for token, expected in [("secret", None), ("Secret", 401), ("", 401), ("secret\n", 401)]:
        with subtests.test(token=token):
            assert status({**PAGE, **offered(token)}, ORIGINS) == expected


def test_a_token_of_any_characters_fits_into_a_subprotocol():
    """A user may have chosen one with characters that a subprotocol cannot have."""
    token = "(a/b=c,d;e)" * 3
    users = Users(NOWHERE, token)
    access = AccessPolicy(8737, users, Browsers(users, NOWHERE), ORIGINS)
    assert access.user(Headers({**PAGE, **offered(token)}), upgrade=True) == OWNER


def test_a_token_as_a_subprotocol_is_for_allowed_pages_only(subtests):
    good = offered("secret")
    for case, headers, options in [
        ("a program", {"Host": GOOD["Host"], **good}, {}),
        ("another page", {**PAGE, "Origin": "http://evil.example", **good}, {}),
        ("our own page", {**PAGE, "Origin": "http://127.0.0.1:8737", **good}, {}),
        ("no websocket", {**PAGE, **good}, {"upgrade": False}),
        ("with another token beside it", {**PAGE, **GOOD, **good}, {}),
        ("two of them", [*PAGE.items(), *good.items(), *good.items()], {}),
        ("no base64", {**PAGE, "Sec-WebSocket-Protocol": "layerfusion, layerfusion.token.sec*ret"}, {}),
    ]:
        with subtests.test(case):
            assert status(headers, ORIGINS, **options) in (401, 403)


# ---- pages that this server has served

OURS = {"Host": "127.0.0.1:8737", "Origin": "http://127.0.0.1:8737"}


@pytest.fixture
def signed_in(tmp_path):
    """The browsers, and the secrets of one that is signed in."""
    browsers = Browsers(Users(NOWHERE, "secret"), tmp_path / "browsers.json")
    return browsers, browsers.sign_in(browsers.new_code(""))


def secrets_of(made, name="layerfusion-8737"):
    return {"Cookie": f"{name}={made.cookie}", "Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, layerfusion.key.{made.key}"}


def test_our_own_page_shows_cookie_and_key(signed_in):
    browsers, made = signed_in
    assert status({**OURS, **secrets_of(made)}, browsers=browsers) is None
    asking = {
        "Host": OURS["Host"],
        "Cookie": f'a={{"b": [1]}}; =;; layerfusion-8737={made.cookie}; c',
        KEY_HEADER: made.key,
    }
    assert status(asking, browsers=browsers, upgrade=False) is None
    assert status({**asking, "Sec-Fetch-Site": "same-origin"}, browsers=browsers, upgrade=False) is None


def test_neither_cookie_nor_key_is_enough_alone(subtests, signed_in):
    browsers, made = signed_in
    both = {**OURS, **secrets_of(made)}
    for case, headers in [
        ("no key", {**both, "Sec-WebSocket-Protocol": SUBPROTOCOL}),
        ("another key", {**both, "Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, layerfusion.key.x{made.key}"}),
        ("the cookie as key", {**both, "Sec-WebSocket-Protocol": f"{SUBPROTOCOL}, layerfusion.key.{made.cookie}"}),
        ("no cookie", {name: value for name, value in both.items() if name != "Cookie"}),
        ("another cookie", {**both, "Cookie": "layerfusion-8737=x"}),
        ("the cookie of another port", {**both, **{"Cookie": f"layerfusion-8738={made.cookie}"}}),
        ("the cookie twice", {**both, "Cookie": f"layerfusion-8737=x; layerfusion-8737={made.cookie}"}),
        ("two headers", [*both.items(), ("Cookie", "layerfusion-8737=x")]),
    ]:
        with subtests.test(case):
            assert status(headers, browsers=browsers) == 401


def test_other_pages_cannot_use_them(subtests, signed_in):
    """Another port of this host is the same site: the browser sends the cookie, but says where the request is from."""
    browsers, made = signed_in
    websocket = secrets_of(made)
    asking = {"Host": OURS["Host"], "Cookie": websocket["Cookie"], KEY_HEADER: made.key}
    for case, headers, options in [
        ("another site", {**OURS, **websocket, "Origin": "http://evil.example"}, {}),
        ("another port", {**OURS, **websocket, "Origin": "http://127.0.0.1:9999"}, {}),
        ("another name of ours", {**OURS, **websocket, "Origin": "http://localhost:8737"}, {}),
        ("an allowed origin", {**OURS, **websocket, "Origin": "http://gallery.example"}, {"origins": ORIGINS}),
        ("no origin", {"Host": OURS["Host"], **websocket}, {}),
        ("a file", {**OURS, **websocket, "Origin": "null"}, {}),
        ("the same site", {**asking, "Sec-Fetch-Site": "same-site"}, {"upgrade": False}),
        ("a cross site", {**asking, "Sec-Fetch-Site": "cross-site"}, {"upgrade": False}),
    ]:
        with subtests.test(case):
            assert status(headers, browsers=browsers, **options) in (401, 403)
