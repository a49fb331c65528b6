"""What the artist asks for comes about, whenever the connection is lost and whatever is pressed meanwhile."""

import asyncio

import pytest

import chromium
import studio_page
from late_answers import late
from layerfusion.server.net.outbox import Outbox
from layerfusion.server.net.request_handler import RequestHandler
from layerfusion.server.protocol.errors import QueueFull
from layerfusion.server.protocol.messages import Generated
from studio_editing import SCRIPT, drag, follow_on
from studio_page import drawn, generate, names, one, press, spoken, text_of, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


def jobs(server):
    with server.client() as client:
        return client.jobs()


def stored(server):
    """Also what Live draws, which is in no list."""
    return [job.id for job in server.app._database.jobs()]


def test_pictures_that_were_submitted_when_the_connection_was_lost_are_all_drawn(driver, server, monkeypatch):
    with late(monkeypatch, "_submit") as submits:
        for word in ("first", "second"):
            generate(driver, f"layers=1 {word}")
        until(lambda: submits.asked)
        submits.lose()
        until(lambda: submits.connections == 2)
    until(lambda: sorted(job.state for job in jobs(server)) == ["finished", "finished"])
    assert {job.title.split()[1].strip(",") for job in jobs(server)} == {"first", "second"}


def test_a_refusal_is_said_though_another_picture_is_shown_by_then(driver, server, monkeypatch):
    drawn(server, blended_prompt="layers=1")
    driver.refresh()
    until(lambda: driver.find_elements("css selector", "#history .open"))
    refusal = QueueFull("Too many pictures wait.", "Wait until some are drawn.")

    async def full(self, request):
        raise refusal

    monkeypatch.setattr(RequestHandler, "_submit", full)
    with late(monkeypatch, "_submit") as submits:
        generate(driver, "layers=1")
        until(lambda: submits.asked)
        press(driver, "#history .open")
    until(lambda: "Too many pictures wait." in text_of(driver, "#problems"))
    spoken(driver, "finished")
    assert names(driver) == ["Layer 0"], "the picture that was opened stays"


def test_deleting_and_naming_are_asked_for_again(driver, server, monkeypatch):
    job = drawn(server, blended_prompt="layers=1")
    for opens, does in [("rename", "#naming-form [type='submit']"), ("delete", "#delete-yes")]:
        driver.refresh()
        until(lambda: driver.find_elements("css selector", "#history .open"))
        with late(monkeypatch, f"_{opens}") as requests:
            press(driver, f"#history .{opens}")
            if opens == "rename":
                studio_page.fill(driver, "name", "Poster")
            one(driver, does).click()
            until(lambda requests=requests: requests.asked)
            requests.lose()
            until(lambda requests=requests: requests.connections == 2)
        if opens == "rename":
            until(lambda: [(each.job, each.name) for each in jobs(server)] == [(job.job, "Poster")])
        else:
            until(lambda: jobs(server) == ())
            until(lambda: not driver.find_elements("css selector", "#history li"))


def test_a_cancel_is_asked_for_again(driver, server, gate, monkeypatch):
    with server.client() as other:
        first = studio_page.small_job(blended_prompt=gate.word)
        other.submit(first)
        generate(driver, "layers=1")  # it waits for the other one
        until(lambda: len(jobs(server)) == 2)
        with late(monkeypatch, "_serve_job") as requests:
            one(driver, "#cancel").click()
            until(lambda: requests.asked)
            requests.lose()
            until(lambda: requests.connections == 2)
        spoken(driver, "Cancelled")
        other.cancel(first.job)
        list(other.events(first.job))


def test_a_file_is_asked_for_again(driver, server, picture, downloads, monkeypatch):
    begin = RequestHandler._begin_export
    asked = []

    def never(self, request):
        asked.append(request)

    with monkeypatch.context() as patch:
        patch.setattr(RequestHandler, "_begin_export", never)
        until(lambda: one(driver, "#export-ora").is_enabled())
        one(driver, "#export-ora").click()
        until(lambda: asked)
    assert RequestHandler._begin_export is begin
    with late(monkeypatch, "_list") as lists:
        lists.lose()
        until(lambda: lists.connections == 2)
    until(lambda: list(downloads.glob("*.ora")))
    until(lambda: one(driver, "#export-ora").is_enabled())


def test_a_picture_that_is_opened_again_before_it_has_come_has_all_its_layers(driver, server, monkeypatch):
    for side in (700, 500):
        drawn(server, blended_prompt=f"layers=3 side={side}", width=side, height=side)
    driver.refresh()
    until(lambda: len(driver.find_elements("css selector", "#history .open")) == 2)
    begun, send = [], Outbox._after

    async def slowly(self, begin, file):
        begun.append(begin)
        async for part in send(self, begin, file):
            yield part
            await asyncio.sleep(0.05)

    monkeypatch.setattr(Outbox, "_after", slowly)
    press(driver, "#history li:last-child .open")
    until(lambda: len(begun) == 2)
    driver.execute_script("for (const open of document.querySelectorAll('#history .open')) open.click()")
    spoken(driver, "finished")
    assert names(driver) == ["Layer 2", "Layer 1", "Layer 0"]


def test_a_press_is_none_the_less_one_if_the_picture_ends_while_the_button_is_held_down(driver, server, gate):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    with server.client() as client:
        client.submit(job := studio_page.small_job(blended_prompt=gate.word))
        hold = ActionBuilder(driver)
        hold.pointer_action.move_to(one(driver, "#history .open")).pointer_down()
        hold.perform()
        client.cancel(job.job)
        list(client.events(job.job))
    until(lambda: "cancelled" in text_of(driver, "#history"))
    release = ActionBuilder(driver)
    release.pointer_action.pointer_up()
    release.perform()
    spoken(driver, "Cancelled")


def test_a_picture_that_is_not_among_the_newest_is_shown_again_after_a_reload(driver, server):
    job = drawn(server, blended_prompt="layers=1")
    studio_page.copied(server, job, 250)
    driver.refresh()
    until(lambda: driver.find_elements("css selector", "#history .open"))
    driver.execute_script("for (const _ of [1, 2, 3, 4, 5]) document.getElementById('more').click()")
    press(driver, f"[data-job='{job.job}'] .open")
    spoken(driver, "finished")
    driver.refresh()
    spoken(driver, "finished")


def test_shadow_and_light_follow_on_the_next_connection_and_leave_nothing(driver, server, picture, monkeypatch):
    follow_on(driver)
    with late(monkeypatch, "_submit") as submits:
        drag(driver, (40, 40), (45, 50))
        until(lambda: submits.asked)
        submits.lose()
        until(lambda: submits.connections == 2)  # it is submitted again
    until(lambda: stored(server) == [picture.job])
    assert text_of(driver, "#problems") == ""


def test_previews_of_a_page_that_was_loaded_anew_are_deleted(driver, server, gate):
    slow = Generated(prompt=f"{SCRIPT} {gate.word}")
    job = drawn(server, foregrounds=(slow,), blended_prompt=SCRIPT, seed=9)
    driver.refresh()
    press(driver, "#history .open")
    spoken(driver, "finished")
    follow_on(driver)
    drag(driver, (40, 40), (45, 50))
    until(lambda: len(stored(server)) == 2)
    driver.refresh()
    until(lambda: stored(server) == [job.job])
    assert len(driver.find_elements("css selector", "#history li")) == 1
