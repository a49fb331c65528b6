"""A browser for the tests of the studio, one for each module."""

import pytest

import chromium
import studio_editing
import studio_page


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """The folder in which the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def gate(tmp_path):
    """Pictures that have its word in their prompt are in the middle of being drawn until it is opened."""
    made = studio_page.Gate(tmp_path / "gate")
    yield made
    made.open()


@pytest.fixture(scope="module")
def window():
    """Width and height of the browser's window, in pixels."""
    return 1500, 1000


@pytest.fixture(scope="module")
def chrome(tmp_path_factory, downloads, window):
    with chromium.opened(tmp_path_factory.mktemp("profile"), downloads) as opened:
        opened.set_window_size(*window)
        yield opened


@pytest.fixture
def driver(chrome, server):
    """The browser, signed in to the studio, with an empty history and form."""
    return studio_page.opened(chrome, server)


@pytest.fixture
def picture(driver, server):
    """A picture that another program of the same user has drawn, as Krita does, and that is open in the studio now."""
    return studio_editing.open_one(driver, server)
