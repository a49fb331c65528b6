"""Debian's Chromium, driven by selenium (in the extra `dev`), for tests of the server's pages."""

import contextlib
import functools
import importlib.util
import shutil

import pytest

from layerfusion.server.client import browser
from running import SECONDS

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and importlib.util.find_spec("selenium")),
    reason="chromium, chromedriver or selenium is not installed",
)
"""The mark of a module whose tests need it."""

WAIT_FOR = """
const [words, done] = arguments;
const look = () => document.body.innerText.includes(words) ? done(true) : setTimeout(look, 50);
look();
"""


@contextlib.contextmanager
def opened(profile, downloads=None, arguments=()):
    """A browser without a window.

    Args:
        profile: an empty folder for its settings.
        downloads: the folder for its downloads, if there will be any.
        arguments: further arguments of its command line.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"):
        options.add_argument(argument)
    for argument in (f"--user-data-dir={profile}", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.set_script_timeout(SECONDS)
        driver.set_page_load_timeout(SECONDS)
        if downloads is not None:
            place = {"behavior": "allow", "downloadPath": str(downloads)}
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", place)
        yield driver
    finally:
        driver.quit()


def sign_in(driver, server, page=""):
    """Sign the browser in as the command line does, and return the code."""
    driver.get(browser.address(server.runtime, page))
    driver.execute_script("localStorage.clear(); sessionStorage.clear()")
    driver.delete_all_cookies()
    code = browser.new_code(server.runtime)
    assert browser.open_page(server.runtime, code, page, seconds=SECONDS, show=functools.partial(_show, driver))
    return code


def _show(driver, url):
    driver.get(url)
    return True


def wait_for(driver, words):
    """Wait until the page says so."""
    assert driver.execute_async_script(WAIT_FOR, words)
