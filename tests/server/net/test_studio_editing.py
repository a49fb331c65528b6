"""Editing in the studio in a real Chromium: moving, scaling, keeping, redrawing, files in and out, undo."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psd_tools
import pytest
from PIL import Image

import chromium
import scripted
import studio_page
from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.engine.image.resampling import resize
from running import SECONDS
from studio_page import SIDE, assert_same, canvas, drawn, names, one, spoken, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]

SCRIPT = f"modes layers=4 side={SIDE} record"
"""A background, a foreground, a shadow and a light; whatever is drawn from the foreground's prompt has these, too."""

TO_CLIENT = """
const box = document.getElementById("canvas").getBoundingClientRect();
const scale = box.width / document.getElementById("canvas").width;
return [box.left + arguments[0] * scale, box.top + arguments[1] * scale].map(Math.round);
"""


@pytest.fixture(scope="module")
def window():
    return 1500, 1000


@pytest.fixture
def picture(driver, server):
    """A picture that another program of the same user has drawn, as Krita does, and that is open in the studio now."""
    return open_one(driver, server)


def open_one(driver, server, seed=9):
    job = drawn(server, foregrounds=(kept_prompt(),), seed=seed)
    driver.refresh()
    one(driver, "#history .open").click()
    spoken(driver, "finished")
    return job


def kept_prompt():
    from layerfusion.server.protocol.messages import Generated

    return Generated(prompt=SCRIPT)


def layers_of(seed, **changes):
    """The layers that the scripted engine draws, with changes of the foreground."""
    made = [scripted.in_modes(seed, index, SIDE) for index in range(4)]
    made[1] = replace(made[1], **changes)
    return made


def together(layers):
    return flatten(LayeredImage(name="all", size=Size(SIDE, SIDE), layers=tuple(layers)))


def drag(driver, start, *ways):
    """Press at a point of the picture, move to the others, and release."""
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    action = ActionBuilder(driver)
    action.pointer_action.move_to_location(*driver.execute_script(TO_CLIENT, *start)).pointer_down()
    for way in ways:
        action.pointer_action.move_to_location(*driver.execute_script(TO_CLIENT, *way))
    action.pointer_action.pointer_up()
    action.perform()


def keys(driver, *pressed):
    driver.execute_script("document.getElementById('viewport').focus()")
    for key in pressed:
        driver.switch_to.active_element.send_keys(key)


def select(driver, name):
    button = one(driver, f"#layers li[data-key='{key_of(driver, name)}'] button.names")
    if button.get_attribute("aria-expanded") != "true":
        driver.execute_script("arguments[0].click()", button)


def key_of(driver, name):
    return driver.execute_script(
        "return [...document.querySelectorAll('#layers li')].find((e) => e.querySelector('strong').textContent === "
        "arguments[0]).dataset.key",
        name,
    )


def detail(driver, name, kind):
    select(driver, name)
    return one(driver, f"[id='{key_of(driver, name)}-{kind}']")


def write(field, text):
    field.clear()
    field.send_keys(text)


def follow_off(driver):
    if one(driver, "#live").is_selected():
        driver.execute_script("document.getElementById('live').click()")


def follow_on(driver):
    if not one(driver, "#live").is_selected():
        driver.execute_script("document.getElementById('live').click()")


def newest(server):
    """The submission of the newest job that is no preview."""
    with server.client() as client:
        return server.app._database.find(client.jobs(newest=1)[0].job).submit


def draw(driver):
    until(lambda: one(driver, "#draw").is_enabled())
    driver.execute_script("document.getElementById('draw').click()")


def test_shadow_and_light_follow_a_foreground_that_is_dragged_and_nothing_is_left(driver, server, picture):
    follow_on(driver)
    drag(driver, (40, 40), (45, 50), (52, 58))
    assert one(driver, "#handles").is_displayed()
    assert one(driver, "#changed").is_displayed()
    # The preview has the seed of the form; kept layers keep the artist's pixels.
    offset = (picture_offset(1)[0] + 12, picture_offset(1)[1] + 18)
    moved = layers_of(9, offset=offset)[:2]
    light = [replace(scripted.in_modes(7, index, SIDE)) for index in (2, 3)]
    driver.execute_script("document.getElementById('seed').value = '7'")
    drag(driver, (60, 60), (61, 60))
    moved[1] = replace(moved[1], offset=(offset[0] + 1, offset[1]))
    until(lambda: np.abs(canvas(driver).astype(int) - together([*moved, *light])).max() <= 2)
    with server.client() as client:
        until(lambda: [job.job for job in client.jobs()] == [picture.job])  # previews are deleted
    assert len(driver.find_elements("css selector", "#history li")) == 1


def picture_offset(index):
    return scripted.in_modes(9, index, SIDE).offset


def test_a_foreground_is_moved_and_scaled_with_the_keyboard_by_the_engines_resampling(driver, server, picture):
    from selenium.webdriver.common.keys import Keys

    follow_off(driver)
    select(driver, "Layer 1")
    keys(driver, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, "-")
    side = round(SIDE / 1.05)
    left, top = picture_offset(1)
    middle = (left + 2 + SIDE / 2, top + 1 + SIDE / 2)
    offset = tuple(round(at - SIDE / 2 / 1.05) for at in middle)
    small = resize(scripted.in_modes(9, 1, SIDE).pixels, Size(side, side))
    expected = together(layers_of(9, pixels=small, offset=offset)[:2])
    until(lambda: np.abs(canvas(driver).astype(int) - expected).max() <= 2)
    keys(driver, Keys.ESCAPE)
    assert not one(driver, "#handles").is_displayed()
    zoom = one(driver, "#zoom").text
    keys(driver, "+")
    assert one(driver, "#zoom").text != zoom  # without a layer, the keys are the view's again


def test_harmonise_keeps_the_moved_layers_and_the_other_program_sees_the_picture(driver, server, picture):
    follow_off(driver)
    drag(driver, (40, 40), (45, 50))
    assert one(driver, "#draw").text == "Harmonise"
    draw(driver)
    until(lambda: newest(server).job != picture.job)
    spoken(driver, "finished")
    submit = newest(server)
    (front,) = submit.foregrounds
    left, top = picture_offset(1)
    assert (front.kind, front.x, front.y, submit.background.kind) == ("kept", left + 5, top + 10, "kept")
    begins = [event for event in server.app._database.events(picture.job) if event.type == "layer_begin"]
    assert (submit.background.layer, front.layer) == (begins[0].sha256, begins[1].sha256)
    assert front.opacity == pytest.approx(0.6)
    with server.client() as krita:  # what was begun there and continued here can be continued there
        krita.resume(submit.job)
        assert len([event for event in krita.events(submit.job) if hasattr(event, "begin")]) == 4


def test_each_layer_is_kept_redrawn_or_relit(driver, server, picture, subtests):
    follow_off(driver)
    for front, behind, words, kinds in [
        ("keep", "redraw", "New background", ("kept", "generated")),
        ("redraw", "keep", "New foreground", ("generated", "kept")),
        ("relight", "keep", "Relight", ("relit", "kept")),
    ]:
        with subtests.test(words=words):
            open_first(driver)
            for name, verb in [("Layer 1", front), ("Layer 0", behind)]:
                select(driver, name)
                driver.execute_script(
                    "document.querySelector(`input[name='${arguments[0]}-verb'][value='${arguments[1]}']`).click()",
                    key_of(driver, name),
                    verb,
                )
            if front == "redraw":
                write(detail(driver, "Layer 1", "prompt"), f"{SCRIPT} apple")
                write(detail(driver, "Layer 1", "seed"), "41")
            assert one(driver, "#draw").text == words
            before = newest(server).job
            draw(driver)
            until(lambda before=before: newest(server).job != before)
            submit = newest(server)
            assert (submit.foregrounds[0].kind, submit.background.kind) == kinds
            if front == "redraw":
                assert (submit.foregrounds[0].prompt, submit.foregrounds[0].seed) == (f"{SCRIPT} apple", 41)
            spoken(driver, "finished")


def open_first(driver):
    """Open the oldest picture of the history."""
    driver.execute_script("[...document.querySelectorAll('#history .open')].at(-1).click()")
    until(lambda: driver.execute_script("return document.querySelectorAll('#layers li').length") == 4)
    spoken(driver, "finished")


def test_boxes_for_further_foregrounds_are_drawn_with_pointer_and_keyboard(driver, server, picture):
    from selenium.webdriver.common.keys import Keys

    follow_off(driver)
    for number, where in [(2, "pointer"), (3, "keyboard")]:
        driver.execute_script("document.getElementById('add-box').click()")
        if where == "pointer":
            drag(driver, (10, 20), (30, 40), (50, 70))
        else:
            keys(driver, Keys.ENTER)
        assert f"Foreground {number}" in names(driver)
        write(detail(driver, f"Foreground {number}", "prompt"), f"a boat {number}")
    write(detail(driver, "Foreground 2", "seed"), "5")
    draw(driver)
    until(lambda: newest(server).job != picture.job)
    kept, boat, other = newest(server).foregrounds
    assert (kept.kind, boat.prompt, boat.seed, other.prompt) == ("kept", "a boat 2", 5, "a boat 3")
    assert [abs(found - wanted) <= 1 for found, wanted in zip(vars(boat.box).values(), (10, 20, 40, 50), strict=True)]
    assert other.box is not None


def test_several_foregrounds_are_placed_before_anything_is_drawn(driver, server):
    for name, value in [("foreground", SCRIPT), ("background", "a beach"), ("width", SIDE), ("height", SIDE)]:
        studio_page.fill(driver, name, str(value))
    until(lambda: one(driver, "#add-box").is_enabled())
    driver.execute_script("document.getElementById('add-box').click()")
    drag(driver, (10, 20), (30, 40), (50, 70))
    assert names(driver) == ["Foreground 2", "Foreground", "Background"]
    write(detail(driver, "Foreground 2", "prompt"), "a boat")
    assert one(driver, "#draw").text == "Draw it anew"
    draw(driver)
    spoken(driver, "finished")
    submit = newest(server)
    assert (submit.background.prompt, submit.background.box) == ("a beach", None)
    assert [(each.prompt, each.box is None) for each in submit.foregrounds] == [(SCRIPT, True), ("a boat", False)]


def test_order_names_modes_and_opacity_are_in_the_file_and_are_taken_back(driver, server, picture, downloads):
    follow_off(driver)
    write(detail(driver, "Layer 2", "name"), "Dusk 林")
    select(driver, "Dusk 林")
    driver.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = 'normal'; field.onchange()",
        f"{key_of(driver, 'Dusk 林')}-blend",
    )
    slider = one(driver, f"#layers li[data-key='{key_of(driver, 'Dusk 林')}'] .opacity input")
    driver.execute_script(
        "const [field] = arguments; field.onpointerdown(); field.value = 40; field.dispatchEvent(new Event('input'))",
        slider,
    )
    select(driver, "Dusk 林")
    driver.execute_script(f"document.querySelector('[data-keeps=\"{key_of(driver, 'Dusk 林')}-down\"]').click()")
    assert names(driver) == ["Layer 3", "Layer 1", "Dusk 林", "Layer 0"]
    made = layers_of(9)
    dusk = replace(made[2], name="Dusk 林", blend="normal", opacity=0.4)
    expected = [made[0], dusk, made[1], made[3]]
    assert_same(canvas(driver), together(expected))
    until(lambda: one(driver, "#export-psd").is_enabled())
    one(driver, "#export-psd").click()
    path = until(lambda: list(downloads.glob("*.psd")))[0]
    read = formats.load(path)
    assert [(layer.name, layer.blend, round(255 * layer.opacity)) for layer in read] == [
        (layer.name, layer.blend, round(255 * layer.opacity)) for layer in expected
    ]
    assert np.array_equal(flatten(read), together(expected))
    theirs = [layer.name for layer in psd_tools.PSDImage.open(path).descendants() if not layer.is_group()]
    assert theirs[:4] == [layer.name for layer in expected]
    driver.refresh()  # an arrangement outlives a reload
    spoken(driver, "finished")
    until(lambda: names(driver) == ["Layer 3", "Layer 1", "Dusk 林", "Layer 0"])
    assert_same(canvas(driver), together(expected))
    driver.execute_script(f"document.querySelector('[data-keeps=\"names {key_of(driver, 'Dusk 林')}\"]').click()")
    driver.execute_script(f"document.querySelector('[data-keeps=\"{key_of(driver, 'Dusk 林')}-up\"]').click()")
    assert names(driver)[1] == "Dusk 林"
    detail(driver, "Dusk 林", "name").click()
    driver.execute_script("document.getElementById('undo').click()")  # a field that is only visited is no change
    assert names(driver)[2] == "Dusk 林"
    driver.execute_script("document.getElementById('redo').click()")
    assert names(driver)[1] == "Dusk 林"


def give(driver, *paths):
    """Choose files; dropping them on the page takes the same way."""
    one(driver, "#file").send_keys("\n".join(map(str, paths)))


def test_files_become_kept_layers_and_a_changed_psd_is_harmonised_again(driver, server, picture, tmp_path):
    follow_off(driver)
    pixels = np.zeros((30, 20, 4), np.uint8)
    pixels[5:25, 5:15] = (200, 30, 60, 255)
    Image.fromarray(pixels).save(tmp_path / "tree.png")
    give(driver, tmp_path / "tree.png")
    until(lambda: "tree" in names(driver))
    tree = Layer(name="tree", role=Role.FOREGROUND, pixels=pixels, offset=(38, 33))
    made = layers_of(9)
    assert_same(canvas(driver), together([made[0], made[1], tree]))
    until(lambda: not driver.execute_script("return document.getElementById('draw').disabled"))
    draw(driver)
    studio_page.wait_for(driver, "Say in a few words what “tree” shows.")
    write(detail(driver, "tree", "prompt"), "a tree")
    draw(driver)
    until(lambda: newest(server).job != picture.job)
    (_, kept) = newest(server).foregrounds
    assert (kept.kind, kept.x, kept.y, kept.width, kept.height, kept.prompt) == ("kept", 38, 33, 20, 30, "a tree")
    spoken(driver, "finished")
    changed = LayeredImage(
        name="moved",
        size=Size(SIDE, SIDE),
        layers=(made[0], replace(made[1], offset=(7, 9), name="Foreground", pixels=made[1].pixels)),
    )
    formats.save(changed, tmp_path / "moved.psd")
    before = newest(server).job
    give(driver, tmp_path / "moved.psd")
    until(lambda: names(driver) == ["Foreground", "Layer 0"])
    assert_same(canvas(driver), flatten(changed))
    for name, words in [("Foreground", SCRIPT), ("Layer 0", "a beach")]:
        write(detail(driver, name, "prompt"), words)
    draw(driver)
    until(lambda: newest(server).job != before)
    submit = newest(server)
    assert (submit.background.kind, submit.foregrounds[0].kind) == ("kept", "kept")
    assert (submit.foregrounds[0].x, submit.foregrounds[0].y) == (7, 9)


def test_a_file_that_cannot_be_shown_is_refused_in_words(driver, server, picture, tmp_path):
    (tmp_path / "notes.png").write_bytes(b"<script>document.title = 'run'</script>")
    give(driver, tmp_path / "notes.png")
    studio_page.wait_for(driver, "“notes.png” is not a PNG, WebP, JPEG or TIFF picture, or it is damaged.")
    assert driver.title == "LayerFusion studio"
    assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_files_that_are_dropped_never_leave_the_page(driver, server, picture):
    """A drop event with a picture that the page has made itself."""
    driver.execute_script(
        """
        const canvas = Object.assign(document.createElement("canvas"), {width: 20, height: 20});
        canvas.getContext("2d").fillRect(2, 2, 9, 9);
        canvas.toBlob((blob) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([blob], "square.png"));
          const event = {dataTransfer, bubbles: true, cancelable: true};
          const target = document.getElementById("viewport");
          target.dispatchEvent(new DragEvent("dragenter", event));
          window.dropped = !target.dispatchEvent(new DragEvent("drop", event));
        });
        """
    )
    until(lambda: "square" in names(driver))
    assert driver.execute_script("return window.dropped")


def test_before_and_after_with_a_slider(driver, server, picture):
    one(driver, "#compare-with option[value='unlit']").click()
    driver.execute_script(
        "const field = document.getElementById('divider'); field.value = 25; field.dispatchEvent(new Event('input'))"
    )
    style = driver.execute_script("return document.getElementById('before').style.clipPath")
    assert style == "inset(0px 75% 0px 0px)"
    until(lambda: driver.execute_script("return document.getElementById('before').dataset.painted") == "yes")
    script = studio_page.PIXELS.replace('"canvas"', '"before"')
    import base64

    width, height, data = driver.execute_async_script(script)
    found = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
    assert_same(found, together(layers_of(9)[:2]))


def test_what_was_arranged_comes_back_when_drawing_is_cancelled(driver, server, picture):
    follow_off(driver)
    write(detail(driver, "Layer 1", "prompt"), "seconds=0.5 steps=9 layers=2")
    drag(driver, (40, 40), (45, 50))
    shown = canvas(driver)
    draw(driver)
    until(lambda: one(driver, "#cancel").is_displayed())
    assert np.array_equal(canvas(driver), shown)  # it stays in sight while it is drawn
    one(driver, "#cancel").click()
    until(lambda: not one(driver, "#progress").is_displayed())
    assert names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"]
    assert np.array_equal(canvas(driver), shown)


LONG_TASKS = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const {duration} of list.getEntries()) window.longest = Math.max(window.longest, duration);
}).observe({entryTypes: ["longtask"]});
"""


@pytest.mark.timeout(400)  # 128 MiB are drawn, stored, sent and composited
def test_a_canvas_of_4096_px_leaves_the_page_usable(driver, server, capsys):
    """The longest task and the memory are printed: a busy machine may not fail a test."""
    prompt = "layers=2 side=4096 record"
    with server.client() as client:
        client.submit(studio_page.small_job(width=4096, height=4096, blended_prompt=prompt))
    driver.refresh()
    driver.execute_script(LONG_TASKS)
    began = time.monotonic()
    one(driver, "#history .open").click()
    count = "return document.querySelectorAll('#layers li').length"
    until(lambda: driver.execute_script(count) == 2, 8 * SECONDS)
    painted = "return document.getElementById('canvas').dataset.painted"
    until(lambda: driver.execute_script(painted) == "yes", 8 * SECONDS)
    opened = time.monotonic() - began
    script = "return [...document.getElementById('canvas').getContext('2d').getImageData(4000, 4000, 1, 1).data]"
    bottom, top = (scripted.pixels(0, index, 4096)[4000:4001, 4000:4001] for index in range(2))
    pair = LayeredImage(
        name="p",
        size=Size(1, 1),
        layers=tuple(Layer(name="l", role=Role.BACKGROUND, pixels=each.copy()) for each in (bottom, top)),
    )
    assert np.abs(np.array(driver.execute_script(script)) - flatten(pair)[0, 0].astype(int)).max() <= 1
    drag(driver, (2000, 2000), (2100, 2100))
    longest = driver.execute_script("return window.longest")
    memory = resident(chrome_profile(driver))
    with capsys.disabled():
        print(f"\n4096x4096, 2 layers: open after {opened:.1f} s, longest task {longest:.0f} ms, page {memory} MB")
    assert memory is None or memory < 64 * (2 + 2) + 700  # layers and canvas, and the browser's own


def chrome_profile(driver):
    return driver.capabilities["chrome"]["userDataDir"]


def resident(profile):
    """Megabytes of the largest page of a browser; None where the system does not tell."""
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"--type=renderer" in command and profile.encode() in command:
                sizes.append(int((process / "statm").read_text().split()[1]) * 4096 // 2**20)
        except OSError:  # it has ended
            continue
    return max(sizes, default=None)
