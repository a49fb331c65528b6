"""Opens a connection to a server, and exchanges greetings on it."""

from __future__ import annotations

from .bundled import WIRE, Connection, connect
from .protocol import MAJOR, MINOR, location
from .protocol.errors import ProtocolError, UnsupportedVersion
from .protocol.frames import MAX_FRAME
from .protocol.messages import Hello, Refused, Welcome
from .server_words import told
from .translation import tr

VERSION = "0.1.0"


def connection(runtime: location.Runtime) -> Connection:
    """Connect to a server. The result is a context manager that closes the connection.

    Raises:
        OSError, WebSocketException: it cannot be reached, or refuses the token.
    """
    return connect(
        runtime.url,
        additional_headers={"Authorization": f"Bearer {runtime.token}"},
        proxy=None,  # proxies from the environment are for other programs; most servers are on this machine
        ssl=runtime.tls(),
        compression=None,  # on loopback, compressing pixels takes longer than sending them
        max_size=MAX_FRAME,
        open_timeout=10,
        close_timeout=1,
        ping_timeout=60,  # a server that loads a model may be slow to answer
    )


def greet(connection: Connection, identity: str) -> Welcome:
    """Say hello, and return the server's answer.

    Raises:
        ProtocolError: the server refuses the client, or has another major version.
    """
    connection.send(
        WIRE.encode(Hello(protocol=(MAJOR, MINOR), client="layerfusion-krita", version=VERSION, identity=identity))
    )
    welcome = WIRE.decode(connection.recv(timeout=10))
    if isinstance(welcome, Refused):
        raise ProtocolError(*told(welcome))
    if not isinstance(welcome, Welcome) or welcome.protocol[0] != MAJOR:
        raise UnsupportedVersion(
            tr("The server and the plugin have different versions."), tr("Run: layerfusion plugin install")
        )
    return welcome
