"""`layerfusion token`."""

import sys

import pytest

from layerfusion.server.cli.main import main
from layerfusion.server.config import users
from layerfusion.server.storage.users import Users


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words):
        code = main(["token", *words, "--folder", str(tmp_path / "jobs")])
        said = capsys.readouterr()
        return code, said.out.strip(), said.err.strip()

    return run


def test_users_are_added_listed_and_revoked(run, tmp_path):
    limits = ["--waiting-jobs", "3", "--upload-gigabytes", "0.5", "--connections", "2"]
    code, token, _ = run("add", "ada", "--admin", *limits)
    assert code == 0
    user = Users(users(tmp_path / "jobs")).by_token(token)
    assert (user.name, user.admin, user.waiting_jobs, user.upload_bytes, user.connections) == ("ada", True, 3, 5e8, 2)
    code, listed, _ = run("list")
    assert "admin, 3 waiting jobs, 0.5 GB an hour, 2 connections" in listed
    assert token not in listed
    assert run("revoke", "ada")[0] == 0
    assert Users(users(tmp_path / "jobs")).by_token(token) is None


def test_a_token_can_go_into_a_file_that_only_its_owner_reads(run, tmp_path):
    file = tmp_path / "ada.token"
    code, said, _ = run("add", "ada", "--out", str(file))
    assert code == 0
    token = file.read_text().strip()
    assert token not in said
    assert Users(users(tmp_path / "jobs")).by_token(token).name == "ada"
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600


def test_no_file_is_replaced_and_none_is_left_behind(run, tmp_path):
    file = tmp_path / "mine"
    file.write_text("mine")
    code, _, error = run("add", "ada", "--out", str(file))
    assert code == 2
    assert "new file" in error
    assert file.read_text() == "mine"
    code, _, error = run("add", "ADA", "--out", str(tmp_path / "other"))
    assert code == 2
    assert "cannot be a user's name" in error
    assert not (tmp_path / "other").exists()
    assert run("list")[1] == "0 users, and the owner of the server"


def test_mistakes_are_said_in_one_line(run, tmp_path):
    assert run("revoke", "eve")[2].count("\n") == 0
    (tmp_path / "jobs").mkdir()
    users(tmp_path / "jobs").write_text("{")
    users(tmp_path / "jobs").chmod(0o600)
    code, _, error = run("add", "ada")
    assert code == 2
    assert "not understood" in error
