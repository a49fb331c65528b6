"""Codes and signed-in browsers."""

import sys

import pytest

from layerfusion.server.net import browsers as browsers_module
from layerfusion.server.net.browsers import CODE_SECONDS, IDLE_SECONDS, Browsers
from layerfusion.server.storage.users import User, Users


class Clock:
    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def users(tmp_path):
    return Users(tmp_path / "users.json", "secret")


@pytest.fixture
def browsers(tmp_path, users, clock):
    return Browsers(users, tmp_path / "browsers.json", now=clock, clock=clock)


def test_a_code_is_used_once(browsers):
    code = browsers.new_code("")
    made = browsers.sign_in(code)
    assert browsers.user(made.cookie, made.key) == ""
    assert browsers.sign_in(code) is None


def test_a_code_may_be_typed_in_small_letters_without_hyphens(browsers):
    assert browsers.sign_in(f" {browsers.new_code('').replace('-', ' ').lower()} ") is not None


def test_a_wrong_code_signs_nobody_in(browsers, subtests):
    code = browsers.new_code("")
    for wrong in ["", "-", code[:-1], code + "A", "é", "0" * 5000]:
        with subtests.test(wrong=wrong[:30]):
            assert browsers.sign_in(wrong) is None


def test_a_code_has_an_end(browsers, clock):
    code, other = browsers.new_code(""), browsers.new_code("")
    clock.now += CODE_SECONDS - 1
    assert browsers.sign_in(code) is not None
    clock.now += 1
    assert browsers.sign_in(other) is None


def test_codes_and_browsers_are_limited_in_number(browsers, monkeypatch, clock, users):
    users.add(User(name="eve"))
    kept = browsers.new_code("eve")
    codes = [browsers.new_code("") for _ in range(browsers_module._CODES + 1)]
    assert browsers.sign_in(codes[0]) is None
    assert browsers.sign_in(codes[1]) is not None
    hers = browsers.sign_in(kept)
    assert hers is not None, "the codes of others are not counted"
    monkeypatch.setattr(browsers_module, "_SIGNED_IN", 3)
    made = []
    for _ in range(4):
        clock.now += 1
        made.append(browsers.sign_in(browsers.new_code("")))
    assert [browsers.user(each.cookie, each.key) for each in made] == [None, "", "", ""]
    assert browsers.user(hers.cookie, hers.key) == "eve"


def test_a_browser_that_is_not_used_is_signed_out(browsers, clock):
    made = browsers.sign_in(browsers.new_code(""))
    clock.now += IDLE_SECONDS - 1
    assert browsers.user(made.cookie, made.key) == ""  # this is a use
    clock.now += IDLE_SECONDS - 1
    assert browsers.user(made.cookie, made.key) == ""
    clock.now += IDLE_SECONDS
    assert browsers.user(made.cookie, made.key) is None


def test_browsers_outlive_the_server_but_their_secrets_are_not_on_disk(browsers, tmp_path, users, clock):
    made = browsers.sign_in(browsers.new_code(""))
    file = tmp_path / "browsers.json"
    assert made.cookie not in file.read_text()
    assert made.key not in file.read_text()
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600
    again = Browsers(users, file, now=clock, clock=clock)
    assert again.user(made.cookie, made.key) == ""
    again.sign_out(made.cookie)
    assert Browsers(users, file, now=clock, clock=clock).user(made.cookie, made.key) is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes have no meaning there")
def test_a_file_that_others_can_write_signs_nobody_in(browsers, tmp_path, users):
    made = browsers.sign_in(browsers.new_code(""))
    (tmp_path / "browsers.json").chmod(0o666)
    assert Browsers(users, tmp_path / "browsers.json").user(made.cookie, made.key) is None


def test_a_damaged_file_signs_nobody_in(tmp_path, users, subtests):
    file = tmp_path / "browsers.json"
    for content in ["", "{}", "[1]", '[{"user": 1, "token": "", "cookie": "", "key": "", "used": 0}]', "[" * 100_000]:
        with subtests.test(content=content[:30]):
            file.write_text(content)
            file.chmod(0o600)
            assert Browsers(users, file).user("", "") is None


def test_a_revoked_user_is_signed_out(browsers, users):
    users.add(User(name="ada"))
    made = browsers.sign_in(browsers.new_code("ada"))
    assert browsers.user(made.cookie, made.key) == "ada"
    users.revoke("ada")
    assert browsers.user(made.cookie, made.key) is None
    users.add(User(name="ada"))  # another token
    assert browsers.user(made.cookie, made.key) is None


def test_a_stranger_cannot_sign_a_browser_in_under_another_name(browsers, users):
    """A link with a stranger's code would make the artist draw under the stranger's name."""
    users.add(User(name="ada"))
    users.add(User(name="eve"))
    made = browsers.sign_in(browsers.new_code("ada"))
    assert browsers.sign_in(browsers.new_code("eve"), made.cookie) is None
    assert browsers.user(made.cookie, made.key) == "ada"
    assert browsers.sign_in(browsers.new_code("ada"), made.cookie) is not None
    users.revoke("ada")
    assert browsers.sign_in(browsers.new_code("eve"), made.cookie) is not None
