"""The file of the users, and whose jobs are whose."""

import json
import sys

import pytest

from layerfusion.engine.errors import InvalidRequest
from layerfusion.server.storage.users import OWNER, BrokenUsers, User, Users


@pytest.fixture
def users(tmp_path):
    return Users(tmp_path / "users.json", "the owner's token")


def test_a_user_is_known_by_the_token_alone(users):
    token = users.add(User(name="ada", waiting_jobs=3))
    assert len(token) == 43
    assert users.by_token(token).name == "ada"
    assert users.by_token(token).waiting_jobs == 3
    assert users.by_token("the owner's token") == OWNER
    for wrong in ["", token[:-1], token + "x", "ada", token.swapcase(), "\ud800", "é"]:
        assert users.by_token(wrong) is None


def test_tokens_are_not_on_the_disk(users):
    token = users.add(User(name="ada"))
    assert token not in users.path.read_text()
    if sys.platform != "win32":
        assert users.path.stat().st_mode & 0o777 == 0o600


def test_tokens_are_compared_in_constant_time_and_all_of_them(users, monkeypatch):
    """The time must not tell how much of a token was right, nor which user it belongs to."""
    tokens = [users.add(User(name=name)) for name in ("ada", "bob", "eve")]
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("layerfusion.server.storage.users.hmac.compare_digest", compare)
    for token in [*tokens, "wrong"]:
        compared.clear()
        users.by_token(token)
        assert len(compared) == 4
        assert not [pair for pair in compared if token in pair], "digests are compared"


def test_a_running_server_notices_changes(users):
    other = Users(users.path)  # the command, in another process
    token = other.add(User(name="ada"))
    assert users.by_token(token).name == "ada"
    other.revoke("ada")
    assert users.by_token(token) is None
    assert users.by_name("ada") is None


def test_names_are_restricted(users, subtests):
    for name in ["", "Ada", "ada/bob", "../ada", "@ada", "ada\n", "a" * 33, "-ada", ".ada", "ada bob", "ädä"]:
        with subtests.test(name=name), pytest.raises(InvalidRequest):
            users.add(User(name=name))
    users.add(User(name="ada.b_c-1"))
    with pytest.raises(InvalidRequest, match="already"):
        users.add(User(name="ada.b_c-1"))
    with pytest.raises(InvalidRequest, match="no user"):
        users.revoke("eve")


GOOD = {
    "name": "ada",
    "admin": False,
    "waiting_jobs": None,
    "upload_bytes": None,
    "connections": None,
    "token_sha256": "0" * 64,
    "created": 1.0,
}


def test_a_file_that_is_not_understood_admits_nobody_but_the_owner(users, subtests):
    for content in [
        "",
        "[]",
        "{",
        "[" * 100_000,
        '{"version": 2, "users": []}',
        '{"version": 1, "users": [], "more": 1}',
        '{"version": 1, "users": [{}]}',
        *(
            json.dumps({"version": 1, "users": [{**GOOD, name: value}]})
            for name, value in [
                ("name", "Ada"),
                ("name", 1),
                ("admin", "yes"),
                ("waiting_jobs", -1),
                ("waiting_jobs", True),
                ("upload_bytes", 0.5),
                ("token_sha256", "0" * 63),
                ("token_sha256", None),
                ("created", "now"),
                ("role", "root"),
            ]
        ),
        json.dumps({"version": 1, "users": [GOOD, GOOD]}),
    ]:
        with subtests.test(content=content[:80]):
            users.path.write_text(content)
            users.path.chmod(0o600)
            with pytest.raises(BrokenUsers):
                users.by_token("a token")
            with pytest.raises(BrokenUsers):
                users.add(User(name="eve"))
            assert users.path.read_text() == content, "it was overwritten"
            assert users.by_token("the owner's token") == OWNER
    users.path.write_text(json.dumps({"version": 1, "users": [GOOD]}))
    assert set(users.accounts()) == {"ada"}


@pytest.mark.skipif(sys.platform == "win32", reason="modes have no meaning there")
def test_a_file_that_others_can_write_admits_nobody_but_the_owner(users):
    token = users.add(User(name="ada"))
    users.by_token(token)
    for mode in [0o640, 0o602, 0o666]:
        users.path.chmod(mode)
        with pytest.raises(BrokenUsers, match="chmod 600"):
            users.by_token(token)
    users.path.chmod(0o600)
    assert users.by_token(token).name == "ada"


def test_no_identity_makes_the_key_of_another_user():
    ada, eve = User(name="ada"), User(name="eve")
    assert ada.may_see(ada.key("x"))
    assert ada.key("one machine") == ada.key("another machine")
    for identity in ["@ada", "ada", "@@ada", "", "@"]:
        assert not ada.may_see(eve.key(identity))
        assert not ada.may_see(OWNER.key(identity))
        assert OWNER.may_see(ada.key(identity))
    assert User(name="root", admin=True).may_see(OWNER.key("x"))
    assert OWNER.key("@@a") != OWNER.key("@a")
