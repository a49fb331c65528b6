#!/usr/bin/env bash
# websockets 17.4 and 16.1.1: a connection with unread messages needs its whole `close_timeout` to close, 10 s by default.
#
# From `max_queue` (16) unread messages on, a connection stops reading. `close()` sends its frame and then waits for the
# other side's, which lies behind the messages that nobody reads any more. The peer has answered at once and counts
# the connection as closed with 1000; here it ends after the timeout with 1006, as if it had been lost. So it is in the
# client with threads and in the one with asyncio; 17 messages of one byte are enough.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >closing.py <<'PY'
import asyncio
import time
from importlib.metadata import version

from websockets.asyncio import client, server
from websockets.sync.client import connect

TIMEOUT = 3

async def main():
    peer_saw = asyncio.Queue()

    async def send(peer):
        for _ in range(messages):
            await peer.send(b"x")
        await peer.wait_closed()
        await peer_saw.put(peer.close_code)

    def with_threads():
        connection = connect(url, proxy=None, close_timeout=TIMEOUT)
        time.sleep(1)
        began = time.monotonic()
        connection.close()
        return time.monotonic() - began, connection.close_code

    async def with_asyncio():
        connection = await client.connect(url, proxy=None, close_timeout=TIMEOUT)
        await asyncio.sleep(1)
        began = time.monotonic()
        await connection.close()
        return time.monotonic() - began, connection.close_code

    async with server.serve(send, "127.0.0.1", 0) as serving:
        url = f"ws://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
        for messages in (16, 17):
            for kind, (took, code) in (("threads", await asyncio.to_thread(with_threads)), ("asyncio", await with_asyncio())):
                waited = "the whole timeout" if took >= TIMEOUT else "less"
                print(f"{version('websockets')} {kind}, {messages} unread: {waited}, {code}; the peer saw {await peer_saw.get()}")

asyncio.run(main())
PY
for version in 16.1.1 17.4; do
    python3 -m venv "env$version"
    "env$version/bin/pip" install --quiet websockets==$version
    "env$version/bin/python" closing.py
done | tee seen
diff seen - <<'EXPECTED'
16.1.1 threads, 16 unread: less, 1000; the peer saw 1000
16.1.1 asyncio, 16 unread: less, 1000; the peer saw 1000
16.1.1 threads, 17 unread: the whole timeout, 1006; the peer saw 1000
16.1.1 asyncio, 17 unread: the whole timeout, 1006; the peer saw 1000
17.4 threads, 16 unread: less, 1000; the peer saw 1000
17.4 asyncio, 16 unread: less, 1000; the peer saw 1000
17.4 threads, 17 unread: the whole timeout, 1006; the peer saw 1000
17.4 asyncio, 17 unread: the whole timeout, 1006; the peer saw 1000
EXPECTED
