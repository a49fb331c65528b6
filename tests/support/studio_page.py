"""What a person does in the studio and sees there, for tests in a browser."""

import base64
import time
from dataclasses import replace

import numpy as np

import chromium
from chromium import wait_for
from layerfusion.server.client.client import new_job
from layerfusion.server.storage.records import wire
from running import SECONDS
from samples import submit

SIDE = 96
"""Sides of the pictures that are drawn, in pixels."""


class Gate:
    """What lets a picture wait in the middle of being drawn: tests on a slow machine must not miss that.

    Args:
        path: of a file that does not exist; without spaces.
    """

    def __init__(self, path):
        self._path = path

    @property
    def word(self):
        """A word of the prompt of a picture that waits."""
        return f"gate={self._path}"

    def open(self):
        """Let the pictures go on."""
        self._path.touch()


PIXELS = """
const [id, done] = arguments;
const sheet = document.getElementById(id);
const look = () => {
  if (sheet.dataset.painted !== "yes") return setTimeout(look, 20);
  const tiles = [...sheet.querySelectorAll("canvas")].map((tile) => {
    const {data} = tile.getContext("2d").getImageData(0, 0, tile.width, tile.height);
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    return [tile.width, tile.height, btoa(text)];
  });
  done(tiles);
};
look();
"""


def opened(chrome, server):
    """The driver, signed in, with an empty history and form."""
    with server.client() as client:
        for job in client.jobs():
            if job.ended is None:
                client.cancel(job.job)
        until(lambda: all(job.ended is not None for job in client.jobs()))
        server.app._database.delete([job.job for job in client.jobs(newest=1000)])
    chromium.sign_in(chrome, server, "studio")
    wait_for(chrome, "Your pictures are kept here.")
    one(chrome, "#model option")  # the server has greeted the page, which knows the model's words from now on
    chrome.get_log("browser")
    return chrome


def until(condition, seconds=SECONDS):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def one(driver, selector):
    return until(lambda: driver.find_elements("css selector", selector))[0]


PRESS = """
const button = document.querySelector(arguments[0]);
if (button === null || button.disabled || button.closest("[hidden]") !== null) return false;
button.click();
return true;
"""


def press(driver, selector):
    """Press what may be seen only under the pointer, as soon as it is there."""
    until(lambda: driver.execute_script(PRESS, selector))


def fill(driver, name, value):
    field = one(driver, f"#{name}")
    field.clear()
    field.send_keys(value)


def generate(driver, foreground, background="a beach", side=SIDE, seed="7"):
    for name, value in [("foreground", foreground), ("background", background), ("seed", seed)]:
        fill(driver, name, value)
    fill(driver, "width", str(side))
    fill(driver, "height", str(side))
    until(lambda: one(driver, "#generate").is_enabled())
    one(driver, "#generate").click()


def spoken(driver, words):
    """Wait until screen readers are told so."""
    until(lambda: words in driver.execute_script("return document.getElementById('spoken').textContent"))


def text_of(driver, selector):
    """What the first such element says; empty without one. It may be made anew at any time."""
    return driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def names(driver):
    return driver.execute_script("return [...document.querySelectorAll('#layers strong')].map((e) => e.textContent)")


def canvas(driver, identity="canvas"):
    """The pixels of a canvas that is one tile: uint8 (H, W, 4), straight alpha."""
    ((width, height, data),) = driver.execute_async_script(PIXELS, identity)
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)


def assert_same(found, expected):
    """Within 1/255 where it shows: a canvas keeps premultiplied pixels, so that faint colours are stored coarsely."""
    assert found.shape == expected.shape
    alpha = np.abs(found[..., 3].astype(int) - expected[..., 3])
    assert alpha.max() <= 1
    shown = [pixels[..., :3] * (pixels[..., 3:] / 255) for pixels in (found, expected)]
    assert np.abs(shown[0] - shown[1]).max() <= (1 if expected[..., 3].min() == 255 else 2)


def small_job(**values):
    """A job of the scripted engine with a new id."""
    return submit(**{"job": new_job(), "width": SIDE, "height": SIDE, **values})


def drawn(server, **values):
    """A finished job of the scripted engine, drawn for another client of the same user."""
    job = small_job(**values)
    with server.client() as client:
        client.submit(job)
        list(client.events(job.job))
    return job


def newest(server):
    """The submission of the newest job that is no preview."""
    with server.client() as client:
        (job,) = until(lambda: client.jobs(newest=1))
        return server.app._database.find(job.job).submit


def copied(server, job, count):
    """Copies of a finished job with ids and titles of their own, put into the database: drawing them takes minutes."""
    database = server.app._database
    events, submit = database.events(job.job), database.find(job.job).submit
    with database.transaction() as tables:
        names = [name for _, name, *_ in tables.execute("PRAGMA table_info(jobs)")]
        row = dict(zip(names, tables.execute("SELECT * FROM jobs WHERE id = ?", [job.job]).fetchone(), strict=True))
        for number in range(count):
            copy = new_job()
            values = {**row, "id": copy, "submission": copy, "number": None, "title": f"picture {number}"}
            values["submit"] = wire.encode(replace(submit, job=copy))
            values["submitted"] += 1 + number
            marks = ", ".join("?" * len(values))
            tables.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", [*values.values()])
            for event in events:
                message = wire.encode(replace(event, job=copy))
                tables.execute("INSERT INTO events VALUES (?, ?, ?)", (copy, event.seq, message))
            tables.execute("INSERT INTO files SELECT ?, sha256, bytes FROM files WHERE job = ?", (copy, job.job))
