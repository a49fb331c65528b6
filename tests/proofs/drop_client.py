"""Drop the client's connection at random moments, also in the middle of layers, and let it come back.

It proves that with `resume` the client gets every event once and in order, and every layer byte for byte.
"""

import tempfile
from pathlib import Path
from socket import SHUT_RDWR

import scripted
from layerfusion.server.protocol.frames import Arrival, Chunk
from layerfusion.server.protocol.messages import Cancelled, Done, Event, Failed, LayerBegin, LayerEnd, Resume
from proving import ScriptedServer, dice, expect, parser, submit

SIDE, LAYERS = 512, 4  # of 1 MiB: four chunks each


def prove(times, seed=None):
    """Drop the connection `drops` times and print the figures."""
    random, drops, jobs, layers = dice(seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder, ScriptedServer(Path(folder)) as server:
        while drops < times:
            job = submit(f"seconds=0.01 layers={LAYERS} side={SIDE}", seed=jobs, steps=5)
            seen, pixels, over, first = [], {}, False, True
            while not over:
                left = random.randint(1, 12) if drops < times else 10**9
                with server.connect() as client:
                    client._send(job if first else Resume(job=job.job, after=len(seen)))
                    over = listen(client, seen, pixels, left)
                first = False
                drops += not over
            jobs += 1
            layers += len(pixels)
            check(job, seen, pixels)
    print(f"{drops} drops over {jobs} jobs: {layers} layers whole and the same, no event twice, none missing")
    return drops


def listen(client, seen, pixels, frames):
    """Receive some frames, then drop the connection; return whether the job is over."""
    begin, data = None, bytearray()
    for _ in range(frames):
        item = client._wire.decode(client._socket.recv(60))
        if isinstance(item, LayerBegin):
            begin, arrival, data = item, Arrival(item.bytes, item.sha256), bytearray()
        elif isinstance(item, Chunk):
            arrival.add(item)
            data += item.data
        elif isinstance(item, LayerEnd):
            arrival.finish()
            expect(begin.index not in pixels, f"layer {begin.index} came twice")
            pixels[begin.index] = bytes(data)
            seen.append(begin.seq)
        elif isinstance(item, Event):
            seen.append(item.seq)
            if isinstance(item, Done | Failed | Cancelled):
                expect(isinstance(item, Done), f"the job ended with {item}")
                return True
    client._socket.socket.shutdown(SHUT_RDWR)  # as in a crash; `close` alone would not wake the thread that reads
    return False


def check(job, seen, pixels):
    expect(seen == list(range(1, LAYERS + 3)), f"events came as {seen}")
    for index in range(LAYERS):
        expect(pixels[index] == scripted.bgra(job.seed, index, SIDE), f"layer {index} has other bytes")


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    prove(arguments.times, arguments.seed)
