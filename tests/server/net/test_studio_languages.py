"""Every text of the studio is in every language, with the same values in it; and the page speaks it."""

import re

import chromium
import studio_page
import studio_texts
from chromium import wait_for
from layerfusion.server.client import browser
from studio_texts import LANGUAGES

NAMES = {"LayerFusion", "studio", "layerfusion studio", "PSD", "ORA", "PNG", "+", "−", "100 %", "↶", "↷"}  # noqa: RUF001
"""Names and signs, which are the same everywhere."""


def test_every_text_is_translated(subtests):
    """If this fails: add the text to server/net/studio/src/translations, then `make studio`."""
    for language in LANGUAGES:
        with subtests.test(language):
            known = studio_texts.own(language).keys() | studio_texts.shared(language).keys()
            assert studio_texts.used() - known - NAMES == set()


def test_no_translation_is_left_over_or_there_twice(subtests):
    for language in LANGUAGES:
        with subtests.test(language):
            own = studio_texts.own(language)
            assert list(own) == sorted(own)
            assert own.keys() - studio_texts.used() == set()
            assert own.keys() & studio_texts.shared(language).keys() == set()


def test_translations_have_the_same_values(subtests):
    for language, table in studio_texts.tables().items():
        for text, translation in table.items():
            with subtests.test(language=language, text=text):
                assert sorted(re.findall(r"{\w+}", translation)) == sorted(re.findall(r"{\w+}", text))
                assert translation.strip()


def test_texts_are_literals_so_that_they_can_be_found():
    for path in (studio_texts.STUDIO / "src").glob("*.ts"):
        if path.name != "language.ts":
            assert re.findall(r"(?<![.\w])t\(\s*[^\"\s].*", path.read_text("utf-8")) == []


def sign_in_german(driver, server):
    """Sign in, choose German, and wait until the server has greeted the page."""
    chromium.sign_in(driver, server, "studio")
    driver.execute_script("localStorage.setItem('layerfusion-language', 'de')")
    driver.refresh()
    studio_page.one(driver, "#model option")


@chromium.NEEDED
def test_the_page_speaks_the_chosen_language_and_remembers_it(tmp_path, server):
    texts = studio_texts.tables()
    with chromium.opened(tmp_path) as driver:
        chromium.sign_in(driver, server, "studio")
        wait_for(driver, "Your pictures are kept here.")
        assert driver.execute_script("return document.documentElement.lang") == "en"
        for language in LANGUAGES:
            chooser = driver.find_element("id", "language")
            driver.execute_script(
                "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", chooser, language
            )
            for text in ("Your pictures are kept here.", "Generate", "Layers"):
                wait_for(driver, texts[language][text])
            assert driver.execute_script("return document.documentElement.lang") == language
            name = driver.execute_script("return document.getElementById('viewport').getAttribute('aria-label')")
            assert name.startswith(texts[language]["Picture"])


@chromium.NEEDED
def test_the_page_follows_the_browser(tmp_path, server):
    with chromium.opened(tmp_path) as driver:
        for wished, given in [("de-AT", "de"), ("zh-Hans-SG", "zh-CN"), ("zh-TW", "en"), ("fr,ja", "ja"), ("fr", "en")]:
            driver.execute_cdp_cmd("Emulation.setUserAgentOverride", {"userAgent": "test", "acceptLanguage": wished})
            driver.get(browser.address(server.runtime, "studio"))
            assert driver.execute_script("return document.documentElement.lang") == given


@chromium.NEEDED
def test_errors_are_said_in_the_language_of_the_page(tmp_path, server):
    table = studio_texts.tables()["de"]
    with chromium.opened(tmp_path) as driver:
        sign_in_german(driver, server)
        studio_page.generate(driver, "huge")
        wait_for(driver, table["The picture does not fit into the memory of the server's computer."])
        shown = driver.find_element("css selector", "#problems span")
        assert shown.get_attribute("lang") in (None, ""), "a screen reader speaks it as the page"


@chromium.NEEDED
def test_notices_are_said_in_the_language_of_the_page(tmp_path, server):
    with chromium.opened(tmp_path) as driver:
        sign_in_german(driver, server)
        studio_page.generate(driver, "layers=1 notices=1")
        wait_for(driver, "Das Modell liest nur den Anfang von „Notice 0 of the job")
        lang = driver.execute_script("return document.querySelector('#notes span').lang")
        assert lang == "", "a screen reader speaks it as the page"
        wait_for(driver, "Dieses Demo-Modell zeichnet mit ")


@chromium.NEEDED
def test_a_notice_of_a_later_version_is_shown_as_the_server_says_it(tmp_path, server):
    with chromium.opened(tmp_path) as driver:
        sign_in_german(driver, server)
        studio_page.generate(driver, "layers=1 notices=1 later")
        wait_for(driver, "Notice 0 of the job")
        assert driver.execute_script("return document.querySelector('#notes span').lang") == "en"


@chromium.NEEDED
def test_a_server_that_cannot_draw_says_so_in_the_language_of_the_page(tmp_path, server, monkeypatch):
    table = studio_texts.tables()["de"]
    words = "The process that draws could not start 3 times (exit code 1)."
    monkeypatch.setattr(type(server.app._scheduler), "problem", words)
    with chromium.opened(tmp_path) as driver:
        chromium.sign_in(driver, server, "studio")
        wait_for(driver, words)
        assert driver.execute_script("return document.getElementById('trouble-text').lang") == "en"
        driver.execute_script("localStorage.setItem('layerfusion-language', 'de')")
        driver.refresh()
        wait_for(driver, table["The server cannot draw now, because the process that draws does not start."])
        assert words in driver.find_element("id", "trouble-text").text
        assert driver.execute_script("return document.getElementById('trouble-text').lang") == ""
