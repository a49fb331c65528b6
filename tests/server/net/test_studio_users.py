"""The studio on a computer that several people use, in a real Chromium."""

from dataclasses import replace
from types import SimpleNamespace

import chromium
import scripted
from chromium import wait_for
from layerfusion.server.client import browser
from layerfusion.server.config import users as users_file
from layerfusion.server.protocol import location
from layerfusion.server.storage.users import User, Users
from running import Running
from studio_page import fill, one, until

pytestmark = chromium.NEEDED

LEFT = """
return ["foreground", "background", "width", "seed"].map((id) => document.getElementById(id).value)
  .concat(document.getElementById("drafts").textContent, document.body.classList.contains("empty"));
"""


def test_nothing_of_one_user_is_left_for_the_next(chrome, tmp_path, monkeypatch):
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    folder = tmp_path / "jobs"
    with Running(folder, scripted.load) as server:
        users = Users(users_file(folder))
        ada, eve = (replace(server.runtime, token=users.add(User(name=name))) for name in ("ada", "eve"))
        chromium.sign_in(chrome, SimpleNamespace(runtime=ada), "studio")
        wait_for(chrome, "Signed in as ada")
        untouched = chrome.execute_script(LEFT)
        for name, value in [
            ("foreground", "a present for eve"),
            ("background", "a room"),
            ("width", "512"),
            ("seed", "7"),
        ]:
            fill(chrome, name, value)
        until(lambda: one(chrome, "#add-box").is_enabled())
        one(chrome, "#add-box").click()
        assert "a present for eve" in one(chrome, "#drafts").text
        one(chrome, "#signout").click()
        until(lambda: one(chrome, "#code").is_displayed())
        one(chrome, "#code").send_keys(browser.new_code(eve))
        one(chrome, "#signin button").click()
        wait_for(chrome, "Signed in as eve")
        assert chrome.execute_script(LEFT) == untouched
        assert "a present" not in chrome.execute_script(
            "return document.documentElement.outerHTML + JSON.stringify([{...sessionStorage}, {...localStorage}])"
        )
