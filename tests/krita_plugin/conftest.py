"""The assembled and unpacked plugin, imported under another name in a Python without Krita and Qt."""

import importlib.util
import queue
import sys
import threading
import zipfile
from types import SimpleNamespace

import pytest

from controller_harness import FakeDocument, FakeDocuments, FakeJobStore, FakeServerLink, FakeView, greeting
from layerfusion.krita_plugin import package
from layerfusion.server.protocol import location
from link_harness import SECONDS


@pytest.fixture(scope="session")
def plugin_zip(tmp_path_factory):
    return package.build(tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="session")
def plugin_folder(plugin_zip, tmp_path_factory):
    """The folder with `layerfusion.desktop` and `layerfusion/`."""
    folder = tmp_path_factory.mktemp("pykrita")
    with zipfile.ZipFile(plugin_zip) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def plugin(plugin_folder):
    """The assembled package, imported as `krita_layerfusion`, because `layerfusion` is the installed product here."""
    folder = plugin_folder / "layerfusion"
    spec = importlib.util.spec_from_file_location(
        "krita_layerfusion", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["krita_layerfusion"] = module
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.split(".")[0] == "krita_layerfusion"]:
        del sys.modules[name]


@pytest.fixture
def wire(plugin):
    from krita_layerfusion.protocol import messages

    return messages


@pytest.fixture
def harness(plugin):
    """A controller with its stand-ins, before it is connected to a server."""
    from krita_layerfusion.controller import Controller

    view, link, documents, posted, job_store = (
        FakeView(),
        FakeServerLink(),
        FakeDocuments(FakeDocument()),
        [],
        FakeJobStore(),
    )
    controller = Controller(view, documents, link, posted.append, job_store, later=lambda action: action())
    return SimpleNamespace(
        controller=controller,
        view=view,
        link=link,
        documents=documents,
        document=documents.document,
        posted=posted,
        job_store=job_store,
    )


@pytest.fixture
def online(harness, wire):
    harness.controller.receive(greeting(wire))
    return harness


@pytest.fixture
def events():
    return queue.Queue()


@pytest.fixture
def link(plugin, events, monkeypatch, tmp_path):
    """A running link without a server."""
    from krita_layerfusion.server_link import Offline, ServerLink

    monkeypatch.setenv(location.VARIABLE, str(tmp_path / "server.json"))
    monkeypatch.setattr("krita_layerfusion.server_link.RETRY_SECONDS", 0.05)
    running = ServerLink(events.put)
    running.start()
    assert events.get(timeout=SECONDS) == Offline(resumable=False)
    yield running
    running.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "layerfusion-link"]
