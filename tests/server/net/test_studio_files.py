"""Files that are opened in the studio, in a real Chromium."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import chromium
import scripted
import studio_page
from chromium import wait_for
from layerfusion.engine import formats
from layerfusion.engine.image.compositing import flatten
from layerfusion.engine.image.geometry import Size
from layerfusion.engine.image.layers import Layer, LayeredImage, Role
from layerfusion.server.client import browser
from layerfusion.server.protocol import location
from running import Running
from studio_editing import SCRIPT, detail, draw, follow_off, give, layers_of, together, write
from studio_page import SIDE, assert_same, canvas, names, newest, one, spoken, until

pytestmark = [chromium.NEEDED, pytest.mark.timeout(300)]


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


def test_layers_that_have_the_servers_names_are_called_so_in_the_artists_language(driver, server, picture, tmp_path):
    made = layers_of(9)[:2]
    layers = (replace(made[0], name="Background"), replace(made[1], name="Foreground 2"))
    formats.save(LayeredImage(name="mine", size=Size(SIDE, SIDE), layers=layers), tmp_path / "mine.psd")
    give(driver, tmp_path / "mine.psd")
    until(lambda: names(driver) == ["Foreground 2", "Background"])
    choose = "const field = document.getElementById('language'); field.value = arguments[0]; field.onchange()"
    driver.execute_script(choose, "de")
    try:
        until(lambda: names(driver) == ["Vordergrund 2", "Hintergrund"])
    finally:
        driver.execute_script(choose, "en")
        until(lambda: driver.execute_script("return document.documentElement.lang") == "en")


def test_why_an_opened_file_is_not_saved_in_another_format_and_what_helps(driver, server, tmp_path, downloads):
    layers = layers_of(9)[:2]
    formats.save(LayeredImage(name="mine", size=Size(SIDE, SIDE), layers=tuple(layers)), tmp_path / "mine.psd")
    give(driver, tmp_path / "mine.psd")
    until(lambda: names(driver) == ["Layer 1", "Layer 0"])
    for name, words in [("Layer 1", SCRIPT), ("Layer 0", "a beach")]:
        write(detail(driver, name, "prompt"), words)
    until(lambda: one(driver, "#export-ora").is_enabled())
    one(driver, "#export-ora").click()
    wait_for(driver, "Only what is drawn can be saved as a file.")
    help_button = one(driver, "#problems button:not(.quiet)")
    assert help_button.text == "Harmonise"
    help_button.click()
    until(lambda: names(driver) == ["Layer 3", "Layer 2", "Layer 1", "Layer 0"])
    until(lambda: one(driver, "#export-ora").is_enabled())
    one(driver, "#export-ora").click()
    until(lambda: list(downloads.glob("*.ora")))


def test_a_file_that_cannot_be_shown_is_refused_in_words(driver, server, picture, tmp_path):
    (tmp_path / "notes.png").write_bytes(b"<script>document.title = 'run'</script>")
    give(driver, tmp_path / "notes.png")
    studio_page.wait_for(driver, "“notes.png” is not a PNG, WebP, JPEG or TIFF picture, or it is damaged.")
    assert driver.title == "LayerFusion studio"
    assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_files_that_are_none_are_refused_before_they_are_sent_and_the_studio_goes_on(driver, server, picture, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    give(driver, tmp_path / "empty.png")
    wait_for(driver, "“empty.png” is empty.")
    driver.execute_script(
        """
        const dataTransfer = new DataTransfer();
        const file = new File(["x"], "huge.psd");
        Object.defineProperty(file, "size", {value: 2 ** 40});
        const gone = new File(["x"], "folder");
        gone.arrayBuffer = () => Promise.reject(new DOMException("not found", "NotFoundError"));
        const event = new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true});
        Object.defineProperty(event, "dataTransfer", {value: {types: ["Files"], files: [file, gone]}});
        document.getElementById("viewport").dispatchEvent(event);
        """
    )
    wait_for(driver, "“huge.psd” has 1048576 MB, and the server reads at most")
    wait_for(driver, "“folder” cannot be read. It may be a folder, or it is not there any more.")
    Image.new("RGB", (20, 20), (20, 90, 200)).save(tmp_path / "sea.png")
    give(driver, tmp_path / "sea.png")
    until(lambda: "sea" in names(driver))


def test_what_is_dropped_and_is_no_file_never_leaves_the_page_but_words_get_into_fields(driver, server, picture):
    script = """
        const dataTransfer = new DataTransfer();
        dataTransfer.setData("text/uri-list", "https://example.org/");
        const event = new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true});
        return !document.getElementById(arguments[0]).dispatchEvent(event);
    """
    assert driver.execute_script(script, "viewport")
    assert not driver.execute_script(script, "foreground")


def test_a_picture_is_pasted(driver, server, picture):
    driver.execute_async_script(
        """
        const done = arguments[0];
        const canvas = Object.assign(document.createElement("canvas"), {width: 20, height: 20});
        canvas.getContext("2d").fillRect(2, 2, 9, 9);
        canvas.toBlob((blob) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([blob], "pasted.png"));
          document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
          done();
        });
        """
    )
    until(lambda: "pasted" in names(driver))


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


def test_files_are_opened_over_a_network_without_encryption(tmp_path, monkeypatch):
    """There browsers compute no SHA-256."""
    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    there = ["--host-resolver-rules=MAP gallery.example 127.0.0.1"]
    image = Image.new("RGB", (SIDE, SIDE), (20, 90, 200))
    image.save(tmp_path / "sea.png")
    with (
        Running(tmp_path / "jobs", scripted.load, names=("gallery.example",)) as server,
        chromium.opened(tmp_path / "profile", arguments=there) as driver,
    ):
        driver.get(f"http://gallery.example:{server.address[1]}/studio")
        until(lambda: one(driver, "#code").is_displayed())
        one(driver, "#code").send_keys(browser.new_code(server.runtime))
        one(driver, "#signin button").click()
        wait_for(driver, "Your pictures are kept here.")
        assert driver.execute_script("return [isSecureContext, crypto.subtle === undefined]") == [False, True]
        give(driver, tmp_path / "sea.png")
        until(lambda: names(driver) == ["sea"])
        assert (canvas(driver)[..., :3] == (20, 90, 200)).all()
