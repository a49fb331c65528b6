"""The two third-party packages that the plugin includes, because Krita's Python has no pip.

They are imported relatively: another plugin may include other versions of them under the same names.
"""

from .msgpack import packb, unpackb  # pyright: ignore[reportAttributeAccessIssue]  # chosen from two modules
from .protocol.wire import Wire
from .websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from .websockets.sync.client import connect
from .websockets.sync.connection import Connection

WIRE = Wire(packb, unpackb)

__all__ = ["WIRE", "Connection", "ConnectionClosed", "InvalidStatus", "WebSocketException", "connect"]
