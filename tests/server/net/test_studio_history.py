"""The studio's history, variants, queue, masks and styles in a real Chromium."""

import base64

import chromium
import studio_page
from bare import WIRE, greeted
from chromium import wait_for
from late_answers import late
from layerfusion.server.protocol.messages import ListStyles
from running import SECONDS
from studio_page import SIDE, canvas, drawn, fill, generate, names, newest, one, press, spoken, text_of, until

pytestmark = chromium.NEEDED

PIXELS = """
const canvas = document.getElementById(arguments[0]);
const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
return btoa(String.fromCharCode(...data));
"""


def titles(driver):
    return driver.execute_script("return [...document.querySelectorAll('#history .title')].map((e) => e.textContent)")


def pixels(driver, identity):
    return base64.b64decode(driver.execute_script(PIXELS, identity))


def test_a_picture_gets_a_name_that_every_browser_sees(driver, server):
    job = drawn(server, blended_prompt="layers=1")
    driver.refresh()
    press(driver, "#history .rename")
    one(driver, "#name").send_keys("Poster for Ada\n")
    until(lambda: titles(driver) == ["Poster for Ada"])
    with server.client() as client:
        assert [(each.job, each.name) for each in client.jobs()] == [(job.job, "Poster for Ada")]
    driver.refresh()
    until(lambda: titles(driver) == ["Poster for Ada"])


def test_variants_are_one_entry_until_one_is_kept(driver, server):
    fill(driver, "count", "3")
    generate(driver, "layers=2")
    until(lambda: len(driver.find_elements("css selector", "#variant-list .thumbnail canvas")) == 3)
    assert len(titles(driver)) == 1
    wait_for(driver, "3 variants")
    before = canvas(driver).tobytes()
    press(driver, "#variant-list li:nth-child(2) button")
    spoken(driver, "finished")
    assert canvas(driver).tobytes() != before, "variants have seeds of their own"
    with server.client() as client:
        second = client.jobs()[1].job
    until(lambda: one(driver, "#keep-variant").is_enabled())
    one(driver, "#keep-variant").click()
    wait_for(driver, "The 2 other variants are deleted")
    one(driver, "#keep-yes").click()
    until(lambda: not one(driver, "#variants").is_displayed())
    with server.client() as client:
        assert [job.job for job in client.jobs()] == [second]


def test_two_pictures_are_compared(driver, server):
    for seed in (1, 2):
        drawn(server, blended_prompt=f"layers=1 side={SIDE}", seed=seed)
    driver.refresh()
    press(driver, "#history li:first-child .open")
    spoken(driver, "finished")
    press(driver, "#history li:last-child .compare")
    until(lambda: one(driver, "#compare-right").get_attribute("data-painted") == "yes")
    until(lambda: canvas(driver, "compare-right").any())
    left, right = canvas(driver, "compare-left").tobytes(), canvas(driver, "compare-right").tobytes()
    assert left == canvas(driver).tobytes()
    assert right != left
    one(driver, "#compare-close").click()
    press(driver, "#history li:last-child .open")
    spoken(driver, "finished")
    until(lambda: canvas(driver).tobytes() == right)


def thumbnails(driver):
    return driver.execute_script("return document.querySelectorAll('#history .thumbnail canvas').length")


def test_many_pictures_come_in_pages_and_only_seen_ones_have_thumbnails(driver, server):
    studio_page.copied(server, drawn(server, blended_prompt=f"layers=1 side={SIDE}"), 499)
    driver.refresh()
    until(lambda: len(titles(driver)) == 24)
    until(lambda: 0 < thumbnails(driver) < 24)
    for count in (48, 96, 192, 384, 500):
        one(driver, "#more").click()
        until(lambda count=count: len(titles(driver)) == count)
    assert not one(driver, "#more").is_displayed()
    driver.execute_script("document.querySelector('#history li:last-child').scrollIntoView()")
    until(lambda: driver.execute_script("return !!document.querySelector('#history li:last-child canvas')"))
    until(lambda: thumbnails(driver) < 40)
    until(lambda: not driver.find_elements("css selector", "#history li:first-child canvas"))
    press(driver, "#history li:nth-child(250) .open")
    spoken(driver, "finished")
    until(lambda: driver.execute_script("return document.querySelectorAll('#history [aria-current=true]').length") == 1)


def press_more(driver, times=1):
    driver.execute_script("for (let left = arguments[0]; left; left--) document.getElementById('more').click()", times)


def test_show_more_shows_what_was_asked_for_however_quickly_it_is_pressed(driver, server):
    studio_page.copied(server, drawn(server, blended_prompt="layers=1"), 499)
    driver.refresh()
    until(lambda: len(titles(driver)) == 24)
    press_more(driver, 5)  # 768 are wanted before the server has answered once
    until(lambda: len(titles(driver)) == 500)
    until(lambda: not one(driver, "#more").is_displayed())


def test_show_more_is_offered_until_the_server_has_said_that_there_are_no_more(driver, server, monkeypatch):
    studio_page.copied(server, drawn(server, blended_prompt="layers=1"), 499)
    driver.refresh()
    until(lambda: len(titles(driver)) == 24)
    with late(monkeypatch, "_list") as lists:
        press_more(driver, 4)
        assert len(titles(driver)) == 200, "no more are known yet"
        assert one(driver, "#more").is_displayed()
        until(lambda: lists.asked)
        lists.lose()
        until(lambda: lists.connections == 2)  # the page is back
        assert one(driver, "#more").is_displayed()
        press_more(driver)
        assert one(driver, "#more").is_displayed()
    until(lambda: len(titles(driver)) == 500)
    until(lambda: not one(driver, "#more").is_displayed())


def test_pictures_are_found_by_their_words(driver, server):
    studio_page.copied(server, drawn(server, blended_prompt="layers=1"), 300)
    driver.refresh()
    until(lambda: len(titles(driver)) == 24)
    one(driver, "#history-find").send_keys("42 PICTURE")  # the last one is older than what is listed at first
    until(lambda: titles(driver) == ["picture 242", "picture 142", "picture 42"])
    fill(driver, "history-find", "no such thing")
    wait_for(driver, "No picture has these words.")
    fill(driver, "history-find", "")
    until(lambda: len(titles(driver)) == 24)


def queue(driver):
    script = "return [...document.querySelectorAll('#queue .open')].map((e) => e.title)"
    return [title.partition(" ")[0] for title in driver.execute_script(script)]


def test_the_queue_is_shown_reordered_and_cancelled(driver, server, gate):
    for word in ("first", "second", "third"):
        generate(driver, f"{word} {gate.word}" if word == "first" else word)
        until(lambda word=word: word in queue(driver))
    until(lambda: queue(driver) == ["first", "second", "third"])
    until(lambda: "step" in text_of(driver, "#queue li small"))
    press(driver, "#queue li:nth-child(3) button[aria-label^='Draw earlier']")
    until(lambda: queue(driver)[:3] == ["first", "third", "second"])
    press(driver, "#queue li:nth-child(2) button[aria-label^='Cancel']")
    until(lambda: queue(driver) == ["first", "second"])
    press(driver, "#queue li:nth-child(1) button[aria-label^='Cancel']")
    until(lambda: not one(driver, "#side-queue").is_displayed())
    with server.client() as client:
        states = {job.title.split()[0]: job.state for job in client.jobs()}
    assert states == {"first": "cancelled", "second": "finished", "third": "cancelled"}


def test_jobs_of_other_programs_are_followed_in_the_queue(driver, server, gate):
    with server.client() as client:
        job = studio_page.small_job(blended_prompt=gate.word)
        client.submit(job)
        until(lambda: "step" in text_of(driver, "#queue li small"))
        client.cancel(job.job)
        list(client.events(job.job))
    until(lambda: not one(driver, "#side-queue").is_displayed())


def test_masks_are_shown_over_the_picture_at_the_papers_step(driver, server):
    drawn(server, blended_prompt="maps=4 layers=1", seed=5)
    driver.refresh()
    press(driver, "#history .open")
    spoken(driver, "finished")
    driver.execute_script("document.querySelector('#side-masks details').open = true")
    one(driver, "#masks-again").click()
    until(lambda: one(driver, "#masks-area").is_displayed())
    spoken(driver, "finished")
    until(lambda: "Step 3 of 4, t = 0.80 T; trust 20 %" in one(driver, "#masks-text").text)
    assert one(driver, "#masks-figure").get_attribute("aria-pressed") == "true"
    # The soft mask of step 3 has the value 22 everywhere: where it is low, the picture is dark.
    assert pixels(driver, "masks-overlay") == bytes([0, 0, 0, round(220 * (255 - 22) / 255)]) * 6
    slider = one(driver, "#masks-step")
    slider.send_keys("\ue012")  # to the left
    assert "Step 2 of 4" in one(driver, "#masks-text").text
    driver.refresh()
    until(lambda: "Step 3 of 4" in one(driver, "#masks-text").get_attribute("textContent"))
    one(driver, "#side-masks summary").click()
    one(driver, "#masks-shown").click()
    assert not one(driver, "#masks-overlay").is_displayed()


def test_two_tabs_see_the_same(driver, server):
    first = driver.current_window_handle
    address = driver.current_url
    driver.switch_to.new_window("tab")
    try:
        driver.get(address)
        wait_for(driver, "Your pictures are kept here.")
        generate(driver, "layers=2")
        spoken(driver, "finished")
        driver.switch_to.window(first)
        until(lambda: len(titles(driver)) == 1)
        press(driver, "#history .open")
        spoken(driver, "finished")
        assert names(driver) == ["Layer 1", "Layer 0"]
    finally:
        for handle in driver.window_handles:
            if handle != first:
                driver.switch_to.window(handle)
                driver.close()
        driver.switch_to.window(first)


def value(driver, identity):
    return driver.execute_script("return document.getElementById(arguments[0]).value", identity)


def choose(driver, identity, value):
    driver.execute_script(
        "const [field, value] = [document.getElementById(arguments[0]), arguments[1]];"
        "field.value = value; field.dispatchEvent(new Event('change', {bubbles: true}))",
        identity,
        value,
    )


def test_a_style_has_words_loras_sampler_model_and_preset(driver, server):
    fill(driver, "negative", "fog")
    one(driver, "#style-new").click()
    assert value(driver, "style-negative") == "fog"  # what the form says is where a new style begins
    fill(driver, "style-name", "  Ink   lines ")
    fill(driver, "style-prompt", "ink drawing")
    fill(driver, "style-negative", "photo")
    sampler = driver.execute_script("return [...document.getElementById('style-sampler').options].at(-1).value")
    for identity, chosen in [("style-preset", "exact"), ("style-sampler", sampler)]:
        choose(driver, identity, chosen)
    for wrong in ("<ink>", "ink: 99", "\n".join(f"lora {number}" for number in range(17))):
        fill(driver, "style-loras", wrong)
        one(driver, "#style-form [type='submit']").click()
        assert driver.execute_script("return document.getElementById('style-loras').validationMessage")
    fill(driver, "style-loras", "ink: 0,7\n\nlines")
    one(driver, "#style-form [type='submit']").click()
    until(lambda: value(driver, "style") == "Ink lines")
    with greeted(server) as krita:
        krita.send(WIRE.encode(ListStyles()))
        (style,) = WIRE.decode(krita.recv(SECONDS)).styles
    assert (style.prompt, style.negative_prompt, style.sampler) == ("ink drawing", "photo", sampler)
    assert (style.model, style.preset) == (value(driver, "model"), "exact")
    assert [(lora.name, lora.weight) for lora in style.loras] == [("ink", 0.7), ("lines", 1)]
    assert value(driver, "preset") == "exact"
    one(driver, "#style-new").click()
    fill(driver, "style-name", "Ink lines")
    one(driver, "#style-form [type='submit']").click()
    said = driver.execute_script("return document.getElementById('style-name').validationMessage")
    assert said == "There is a style “Ink lines” already."
    one(driver, "#style-no").click()
    one(driver, "#style-edit").click()
    assert value(driver, "style-loras") == "ink: 0.7\nlines: 1"
    assert (value(driver, "style-sampler"), value(driver, "style-preset")) == (sampler, "exact")
    one(driver, "#style-delete").click()
    assert "for all your programs" in one(driver, "#style-question-text").text
    one(driver, "#style-gone").click()
    until(lambda: driver.execute_script("return document.getElementById('style').options.length") == 1)


def test_a_style_is_added_to_what_is_drawn_and_to_what_is_drawn_from_layers_but_not_twice(driver, server):
    one(driver, "#style-new").click()
    fill(driver, "style-name", "Ink")
    fill(driver, "style-prompt", "ink drawing")
    one(driver, "#style-form [type='submit']").click()
    until(lambda: value(driver, "style") == "Ink")
    assert "ink drawing" in text_of(driver, "#style-hint")
    driver.refresh()
    until(lambda: value(driver, "style") == "Ink")
    fill(driver, "negative", "fog")
    generate(driver, "record layers=2 x")
    spoken(driver, "finished")
    wait_for(driver, "record layers=2 x, ink drawing")
    first = newest(server)
    assert {source.negative_prompt for source in (first.background, *first.foregrounds)} == {"fog"}
    for row in (1, 2):
        press(driver, f"#layers > li:nth-child({row}) button.names")
        driver.execute_script("document.querySelector(\"#layers .verbs input[value='redraw']\").click()")
    press(driver, "#draw")
    until(lambda: newest(server).job != first.job)
    again = newest(server)
    assert [source.prompt for source in again.foregrounds] == ["record layers=2 x, ink drawing"]
    assert again.background.prompt == "a beach, ink drawing"
    spoken(driver, "finished")
    one(driver, "#origin button").click()
    assert value(driver, "style") == "", "the words are there already"
    assert value(driver, "foreground") == "record layers=2 x, ink drawing"
