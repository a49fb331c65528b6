"""Sockets before their request: strangers who say nothing do not keep out a client."""

import asyncio
import contextlib

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from layerfusion.server.net.handshakes import at_most

SECONDS = 30


async def echo(socket):
    async for message in socket:
        await socket.send(message)


def test_the_oldest_stranger_is_cut_and_not_the_newest_friend():
    async def scenario():
        async with (
            asyncio.timeout(SECONDS),
            serve(echo, "127.0.0.1", 0, create_connection=at_most(4), open_timeout=SECONDS) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
            while len(server.handlers) < 4:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.01)
            async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as friend:
                await friend.send("here")
                assert await friend.recv() == "here"
                cut = [asyncio.ensure_future(reader.read(1)) for reader, _ in strangers]
                await asyncio.wait(cut, return_when=asyncio.FIRST_COMPLETED)
                assert [task.done() for task in cut] == [True, False, False, False]
                for task in cut:
                    task.cancel()
                await asyncio.gather(*cut, return_exceptions=True)
            for _, writer in strangers:
                writer.close()

    asyncio.run(scenario())


def test_clients_past_their_handshake_are_never_cut_for_a_stranger():
    async def scenario():
        async with (
            asyncio.timeout(SECONDS),
            serve(echo, "127.0.0.1", 0, create_connection=at_most(2), open_timeout=SECONDS) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            address = f"ws://127.0.0.1:{port}/"
            async with connect(address, proxy=None) as first, connect(address, proxy=None) as second:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with contextlib.suppress(ConnectionError):
                    assert await reader.read(1) == b""
                writer.close()
                for friend in (first, second):
                    await friend.send("here")
                    assert await friend.recv() == "here"

    asyncio.run(scenario())
