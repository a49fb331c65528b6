"""Hostile frames: how the server handles bytes that our own clients never send.

    python tests/proofs/fuzz.py --frames 1000000

Frames are random bytes, random msgpack, valid messages with fields exchanged, valid messages and chunks with bytes
exchanged, and unchanged valid ones. Each goes to a conversation that is new, greeted or in the middle of an upload. If
the conversation accepts a submission, a request is made of it. For every frame, there must be no exception other than
a named error; a client that is refused must get the reason before the websocket is closed with the right code; and
memory must not grow.

The same seed makes the same frames.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hostile_frames import LAYER, WIRE, frame
from layerfusion.engine.errors import EngineError
from layerfusion.server import translate
from layerfusion.server.config import ServerConfig
from layerfusion.server.net.session import Close, Commit, Drop, Keep, Send, Session
from layerfusion.server.protocol import MAJOR, MINOR
from layerfusion.server.protocol.errors import ProtocolError
from layerfusion.server.protocol.frames import MAX_FRAME
from layerfusion.server.protocol.messages import (
    Failed,
    Hello,
    Message,
    Refused,
    Submit,
    Upload,
    Welcome,
)
from layerfusion.server.storage.layer_store import LayerStore

CLOSE_CODES = {1003, 1008}
MOST_GROWTH = 64 * 2**20
"""Number of bytes by which the process may grow."""

WARM_UP = 5000
"""Number of frames before memory is measured; they fill caches, compiled patterns and the allocator's arenas."""


class Broken(AssertionError):
    """The server did something that it must not do. The text contains the frame."""


class Attack:
    """A server's conversations, under attack.

    Args:
        folder: the folder of the store.
        seed: the seed of the frames.

    Attributes:
        outcomes: outcome -> how often it happened.
        slowest: seconds that the slowest frame took.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        config = ServerConfig(folder=folder, layer_bytes=2**20)
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.slowest = 0.0
        self._store = LayerStore(folder)
        self._store.put(LAYER)
        self._welcome = Welcome(
            protocol=(MAJOR, MINOR),
            version="0",
            instance="fuzz",
            models=translate.model_infos(),
            limits=translate.limits(config),
            codecs=("raw",),
        )
        self._random = random.Random(seed)
        self._session = self._converse()

    def run(self, frames: int) -> None:
        """Send the frames. Raises `Broken` as soon as the server does something that it must not do."""
        for _ in range(frames):
            hostile = frame(self._random)
            began = time.perf_counter()
            try:
                outcome = self._take(hostile)
            except Broken:
                raise
            except Exception as error:
                raise Broken(f"{error!r} escaped for the frame {hostile!r:.500}") from error
            self.slowest = max(self.slowest, time.perf_counter() - began)
            self.outcomes[outcome] += 1

    def _take(self, hostile: bytes | str) -> str:
        self._decode(hostile)
        effects = self._session.receive(hostile)
        outcome = "ignored"
        for effect in effects:
            match effect:
                case Send(message):
                    outcome = getattr(message, "code", message.type)
                    if len(WIRE.encode(message)) > MAX_FRAME:
                        raise Broken(f"an answer is too long to be sent: {message!r:.500}")
                case Close(code):
                    self._check_goodbye(effects, code)
                    outcome = f"{outcome}, closed {code}"
                    self._session = self._converse()
                case Submit():
                    outcome = self._submit(effect)
                case Upload() | Keep() | Commit() | Drop():
                    outcome = type(effect).__name__.lower()
                case Message():
                    outcome = effect.type
                case _:
                    raise Broken(f"an unknown effect: {effect!r:.500}")
        return outcome

    def _decode(self, hostile: bytes | str) -> None:
        """A connection to the server, without a session."""
        with contextlib.suppress(ProtocolError):
            WIRE.decode(hostile)

    def _submit(self, submit: Submit) -> str:
        try:
            for job in submit.jobs():
                translate.to_request(job, self._store)
        except (EngineError, ProtocolError) as error:
            return f"submit: {Failed.of(error, job=submit.job, seq=0).code}"
        return "submit"

    def _check_goodbye(self, effects: list[Any], code: int) -> None:
        if code not in CLOSE_CODES:
            raise Broken(f"closed with {code}")
        match effects[-2:]:
            case [Send(Refused(message=message)), Close()] if message:
                return
        raise Broken(f"closed without a reason: {effects!r:.500}")

    def _converse(self) -> Session:
        """A conversation that is new, greeted, or in the middle of an upload."""
        session, chance = Session(self._welcome), self._random.random()
        if chance > 0.1:
            session.receive(WIRE.encode(Hello(protocol=(MAJOR, MINOR), client="fuzz", version="0")))
        if chance > 0.6:
            session.receive(WIRE.encode(Upload(transfer=0, layer="0" * 64, bytes=2**20)))
        return session


def resident() -> int | None:
    """The memory of this process in bytes; None if the operating system does not tell it."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (ImportError, OSError):
        return None
    return pages * resource.getpagesize()


def prove(frames: int, seed: int) -> Attack:
    """Attack with the given number of frames and print the figures.

    Raises:
        Broken: the server did something that it must not do.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        attack = Attack(Path(folder), seed)
        attack.run(min(frames, WARM_UP))
        before = resident()
        attack.run(frames - min(frames, WARM_UP))
        after = resident()
    for outcome, count in attack.outcomes.most_common():
        print(f"{count:9}  {outcome}")
    print(
        f"{frames} frames of seed {seed} in {time.perf_counter() - began:.0f} s; slowest {attack.slowest * 1e3:.1f} ms"
    )
    if before is None or after is None:
        print("memory: unknown on this system")
    else:
        print(f"memory grew by {(after - before) / 2**20:.1f} MiB")
        if after - before > MOST_GROWTH:
            raise Broken(f"memory grew by {after - before} bytes")
    return attack


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    prove(arguments.frames, arguments.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
