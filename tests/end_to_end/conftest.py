"""One server for all tests of this folder, because each worker that starts must import torch and read the model."""

import json

import pytest

from serving import SECRET, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """`layerfusion serve` with its real worker.

    After the tests it is checked that the server stops in good order, has not tried to reach a network, has imported
    nothing from the folder it was started in, and has logged no prompt and no token.
    """
    with Server(tmp_path_factory.mktemp("server")) as server:
        server.start()
        token = json.loads(server.runtime_file.read_text())["token"]
        yield server
        assert server.stop() == 0
        assert not server.runtime_file.exists()
        assert not server.blocked.exists(), server.blocked.read_text()
        assert not server.run_by_mistake.exists(), server.run_by_mistake.read_text()
        log = server.log.read_text()
        assert "Listening on ws://127.0.0.1:" in log
        assert SECRET not in log
        assert token not in log
