"""`layerfusion studio` finds the running server or starts one, and opens the studio with a code that works once."""

import threading

from commands import run
from layerfusion.server.cli import studio
from layerfusion.server.client import browser
from layerfusion.server.net import app


def opened(monkeypatch):
    """Pages that would be opened: (runtime, page) -> each is signed in at once."""
    pages = []

    def open_page(runtime, code, page="", **_):
        pages.append((runtime, code, page))
        return True

    monkeypatch.setattr(browser, "open_page", open_page)
    return pages


def test_opens_the_studio_of_the_running_server(capsys, monkeypatch, server):
    pages = opened(monkeypatch)
    code, out, err = run(capsys, "studio")
    ((runtime, secret, page),) = pages
    assert (code, runtime.url, page) == (0, server.runtime.url, "studio")
    assert f"{browser.address(runtime, 'studio')} and enter the code {secret}" in out
    assert "The browser is signed in." in out
    assert server.runtime.token not in out + err


def test_starts_a_server_and_opens_its_studio(capsys, monkeypatch, server):
    """The server of the test stands for the one that is started, as it is in this process, too."""
    pages, began = opened(monkeypatch), threading.Event()
    here, found = server.runtime, [None]
    monkeypatch.setattr(studio.location, "read", lambda: found[0])

    def serve(config):
        found[0] = here
        began.set()
        for thread in threading.enumerate():
            if thread.name == studio.OPENER:
                thread.join(30)
        return 0

    monkeypatch.setattr(app, "serve", serve)
    code, _, _ = run(capsys, "studio")
    assert code == 0 and began.is_set()
    assert [(runtime, page) for runtime, _, page in pages] == [(here, "studio")]


def test_a_server_that_does_not_start_opens_nothing(capsys, monkeypatch, runtime_file):
    pages = opened(monkeypatch)
    monkeypatch.setattr(studio.location, "read", lambda: None)
    monkeypatch.setattr(app, "serve", lambda config: 1)
    assert run(capsys, "studio")[0] == 1
    assert not pages
    assert not [thread for thread in threading.enumerate() if thread.name == studio.OPENER]


def test_says_so_if_the_server_does_not_answer(capsys, monkeypatch, server):
    def new_code(_):
        raise browser.NoAnswer("The server at ws://127.0.0.1:1/ does not answer.")

    monkeypatch.setattr(browser, "new_code", new_code)
    code, _, err = run(capsys, "studio")
    assert code == 1
    assert "does not answer" in err
