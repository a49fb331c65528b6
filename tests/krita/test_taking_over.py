"""Tests in a real Krita of going on from pictures that were begun in another program, and there from those of Krita."""

import contextlib
import hashlib
import os
import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import chromium
from layerfusion.engine import formats
from layerfusion.server.client.client import Client
from layerfusion.server.protocol import location
from layerfusion.server.protocol.messages import FetchSubmission, Kept, Submission
from studio_editing import choose, detail, draw, write
from studio_page import names, one, spoken, text_of, until

pytestmark = [pytest.mark.krita, pytest.mark.timeout(5500)]

LEMON = "a lemon + a forest"
NIGHT = "a lemon + a night sky with stars"


def test_what_another_program_lets_the_server_draw_is_seen_in_the_queue(facts):
    found = facts("take_a_picture_from_elsewhere")
    title, words = found["elsewhere"].split("\n")
    assert title == LEMON
    assert words.startswith("In another program · Drawing ")
    assert not found["own"]
    assert found["other program"] == 0


def test_it_is_found_among_the_users_pictures_and_becomes_a_document_byte_for_byte(facts, session):
    folder, _ = session
    found = facts("take_a_picture_from_elsewhere")
    assert found["first"] == ["Your pictures…", True]
    assert found["stored"][0].startswith(f"{LEMON}\n256x192 px · ")
    assert found["size"] == [256, 192]
    assert found["tree"] == ["Background", LEMON], "the second click added nothing"
    drawn = []
    for layer in formats.load(folder / "elsewhere.psd"):
        canvas = np.zeros((192, 256, 4), np.uint8)
        (x, y), (height, width) = layer.offset, layer.pixels.shape[:2]
        canvas[y : y + height, x : x + width] = layer.pixels[..., [2, 1, 0, 3]]
        drawn.append((layer.name, hashlib.sha256(canvas.tobytes()).hexdigest()))
    assert [(layer["name"], layer["sha256"]) for layer in found["layers"]] == drawn
    assert "It is in this document." in found["marked"]


def test_the_document_knows_how_it_was_drawn_and_the_artist_goes_on_from_it(facts):
    found = facts("take_a_picture_from_elsewhere")
    record = found["record"]
    assert [record[name] for name in ("foreground", "background", "negative", "seed", "steps", "model")] == [
        "a lemon",
        "a forest",
        "rain",
        77,
        150,
        "tiny",
    ]
    assert "Foreground: a lemon\nBackground: a forest" in found["history"][0] and "seed 77 " in found["history"][0]
    assert found["same foreground"]
    assert found["harmonised"] == ["Background", "Foreground", "Shadow", "Light", "Blended"]
    assert found["again is the same"]
    assert (found["prompts"], found["seed"]) == (["a lemon", "a forest"], 77)


def test_in_a_canvas_of_another_size_it_is_scaled_or_keeps_its_size_and_that_is_said(facts):
    found = facts("take_a_picture_into_other_canvases")
    larger, wider = found["larger"], found["wider"]
    assert larger["reach"] == [0, 0, 512, 384]
    assert any("is 256x192 px; Krita scales its layers to the canvas." in text for text in larger["said"])
    assert wider["reach"] == [0, 0, 256, 192], "nothing is distorted"
    assert any("256x192 px, another shape than the canvas" in text for text in wider["said"])
    assert found["again"] == [0, 0, 256, 192]
    for each in (larger, wider):
        assert each["tree"] == ["Background", LEMON]
        assert each["entries"] == 1
        assert each["shown"] and each["groups"] == 1, "a picture that is there is shown, and not added again"
        assert each["listed"] >= 3, "those of the other document, too"


# ---- Krita's pictures in the studio ----------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(home, runtime):
    """The server with the pictures that were drawn in a home folder."""
    command = [str(Path(sysconfig.get_path("scripts"), "layerfusion")), "serve", "--port", "0"]
    environment = {**os.environ, "HOME": str(home), "LAYERFUSION_RUNTIME": str(runtime), "OMP_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield SimpleNamespace(runtime=until(lambda: location.read(runtime)))
    finally:
        server.terminate()
        server.wait(60)


def submission(client, job):
    client._send(FetchSubmission(job=job))
    answer = client._next(lambda item: isinstance(item, Submission))
    assert isinstance(answer, Submission)
    return answer.submit


def paged_to(driver, job):
    """The row of a picture in the studio's history; if it has none, older pictures are asked for."""
    rows = driver.find_elements("css selector", f"#history [data-job='{job}']")
    if not rows:
        driver.execute_script("document.getElementById('more').click()")
    return rows


@chromium.NEEDED
def test_a_picture_of_krita_is_continued_in_the_studio(facts, home, tmp_path):
    """The newest picture with the night sky was drawn in Krita, in front of it a foreground that Krita had kept."""
    assert facts("take_a_picture_from_elsewhere")["same foreground"]
    with serving(home, tmp_path / "server.json") as server, chromium.opened(tmp_path / "profile") as driver:
        driver.set_window_size(1400, 900)
        chromium.sign_in(driver, server, "studio")
        with Client.connect(server.runtime) as client:
            job = next(each for each in client.jobs(newest=1000) if each.title == NIGHT).job
            krita = submission(client, job)
            (row,) = until(lambda: paged_to(driver, job))
            driver.execute_script("arguments[0].scrollIntoView()", row)
            until(lambda: driver.find_elements("css selector", f"#history [data-job='{job}'] canvas"))
            assert text_of(driver, f"#history [data-job='{job}'] .title") == NIGHT
            driver.execute_script("arguments[0].click()", one(driver, f"#history [data-job='{job}'] .open"))
            spoken(driver, "finished")
            assert set(names(driver)) == {"Background", "Foreground", "Shadow", "Light", "Blended"}
            choose(driver, "Foreground", "keep")
            choose(driver, "Background", "redraw")
            write(detail(driver, "Background", "prompt"), "a beach at sunset")
            draw(driver)
            wanted = ("a lemon + a beach at sunset", "finished")
            continued = until(lambda: [job for job in client.jobs() if (job.title, job.state) == wanted], 300)[0]
            studio = submission(client, continued.job)
        spoken(driver, "finished")
        driver.save_screenshot(str(tmp_path / "studio.png"))
    (before,), (after,) = krita.foregrounds, studio.foregrounds
    assert isinstance(before, Kept) and isinstance(after, Kept)
    assert after.layer == before.layer, "the very layer that Krita has uploaded"
