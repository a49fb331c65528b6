"""Settings: only this machine, for now."""

import pytest

from engine.errors import InvalidRequest
from server.config import ServerConfig


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_listens_on_this_machine(host):
    assert ServerConfig(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "example.com", "localhost.example.com"])
def test_refuses_what_other_machines_reach(host):
    with pytest.raises(InvalidRequest, match="can be reached from other machines"):
        ServerConfig(host=host)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_refuses_what_is_no_port(port):
    with pytest.raises(InvalidRequest, match="port"):
        ServerConfig(port=port)
