"""The two packages this plugin carries inside itself, because Krita's Python has none to offer.

They are imported relatively: another plugin may carry other versions of them under their own names.
"""

from .msgpack import packb, unpackb  # pyright: ignore[reportAttributeAccessIssue]  # it picks one of two modules
from .protocol.wire import Wire
from .websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from .websockets.sync.client import connect
from .websockets.sync.connection import Connection

WIRE = Wire(packb, unpackb)

__all__ = ["WIRE", "Connection", "ConnectionClosed", "InvalidStatus", "WebSocketException", "connect"]
