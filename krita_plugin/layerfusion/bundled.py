"""The two packages this plugin carries inside itself, because Krita's Python has none to offer.

They are imported relatively: another plugin may carry other versions of them under their own names.
"""

from .msgpack import packb, unpackb
from .protocol.wire import Wire
from .websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from .websockets.sync.client import ClientConnection, connect

WIRE = Wire(packb, unpackb)

__all__ = ["WIRE", "ClientConnection", "ConnectionClosed", "InvalidStatus", "WebSocketException", "connect"]
