"""An editor of layers that speaks to a server: what `read_file`, `scale_layer` and `fetch_pixels` answer."""

import hashlib

import numpy as np

from layerfusion.server.protocol.frames import Chunk, split
from layerfusion.server.protocol.messages import (
    FetchPixels,
    FileRead,
    LayerFailed,
    LayerScaled,
    PixelsBegin,
    PixelsEnd,
    ReadFailed,
    ReadFile,
    ScaleLayer,
    Upload,
    Uploaded,
    UploadReady,
    UploadRefused,
)
from running import SECONDS


class Editor:
    """The editor's side of a client's connection."""

    def __init__(self, client):
        self.client = client
        self._uploads = 1000

    def answer(self, *kinds):
        """The next message of one of these kinds, or a chunk."""
        while True:
            item = self.client._wire.decode(self.client._socket.recv(SECONDS))
            if isinstance(item, (*kinds, Chunk)):
                return item

    def upload(self, data):
        """Upload a file, and return its SHA-256, or why it was refused."""
        digest, transfer = hashlib.sha256(data).hexdigest(), self._uploads
        self._uploads += 1
        self.client._send(Upload(transfer=transfer, layer=digest, bytes=len(data), file=True))
        answer = self.answer(UploadReady, Uploaded, UploadRefused)
        if isinstance(answer, UploadReady):
            for chunk in split(transfer, data):
                self.client._send(chunk)
            answer = self.answer(Uploaded, UploadRefused)
        return answer if isinstance(answer, UploadRefused) else digest

    def read(self, data, name):
        """What the server reads from a file."""
        self.client._send(ReadFile(file=self.upload(data), name=name))
        return self.answer(FileRead, ReadFailed)

    def scale(self, layer, size, to):
        (width, height), (to_width, to_height) = size, to
        self.client._send(ScaleLayer(layer=layer, width=width, height=height, to_width=to_width, to_height=to_height))
        return self.answer(LayerScaled, LayerFailed)

    def pixels(self, layer, width, height):
        """A layer's pixels, uint8 (H, W, 4), RGBA; or why they are not sent."""
        self.client._send(FetchPixels(layer=layer))
        begin = self.answer(PixelsBegin, LayerFailed)
        if isinstance(begin, LayerFailed):
            return begin
        data = b""
        while not isinstance(item := self.answer(PixelsEnd), PixelsEnd):
            assert item.transfer == begin.transfer
            data += item.data
        assert (len(data), hashlib.sha256(data).hexdigest()) == (begin.bytes, begin.sha256)
        return np.frombuffer(data, np.uint8).reshape(height, width, 4)[..., [2, 1, 0, 3]]
