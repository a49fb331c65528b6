"""A server for all tests of a module."""

import importlib.util

import pytest

import scripted
from layerfusion.server.protocol import location
from running import Running


@pytest.fixture(scope="module")
def runtime_file(tmp_path_factory):
    """Where the module's server says how it is reached."""
    path = tmp_path_factory.mktemp("runtime") / "server.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(location.VARIABLE, str(path))
        yield path


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_file):
    """Its engine is scripted: these tests are about what is said to a server."""
    with Running(tmp_path_factory.mktemp("layers"), scripted.load) as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def schema():
    """Every message that these tests send or accept agrees with the exported schema.

    Without the package jsonschema this is left out, and the tests of the schema itself fail.
    """
    if importlib.util.find_spec("jsonschema") is None:
        yield []
        return
    from against_schema import every_message_checked

    with every_message_checked() as (problems, _seen):
        yield problems
    assert not problems, problems[0]
