"""Deliver three layers of 1024 x 1024 px over the loopback interface.

The goal is 50 ms from the moment when the engine has the layers, through the store and its disk, to the last checked
byte in the client. `--strict` fails if it takes longer, which needs an otherwise idle machine.
"""

import statistics
import tempfile
import time
from pathlib import Path

from layerfusion.server.client.client import Layer
from layerfusion.server.protocol.messages import Done
from proving import ScriptedServer, check_layer, expect, parser, submit

SIDE, LAYERS = 1024, 3
MOST_SECONDS = 0.05


def prove(times, strict=False):
    """Deliver the layers `times` times and print the figures.

    Returns:
        seconds of each delivery, from the moment when the first layer leaves the engine until the client has the last.
    """
    taken = []
    with tempfile.TemporaryDirectory() as folder, ScriptedServer(Path(folder)) as server, server.connect() as client:
        for number in range(times + 1):
            # The bytes are new each time, because the store skips layers that it has already.
            layers, arrived = draw(client, number, f"stamp layers={LAYERS} side={SIDE}")
            left = min(float(layer.begin.name) for layer in layers)
            if number:  # the first delivery includes the server's start-up work
                taken.append(arrived - left)
    size = LAYERS * 4 * SIDE * SIDE / 2**20
    print(f"{size:.0f} MiB, {times} times: {statistics.median(taken) * 1e3:.1f} ms, at best {min(taken) * 1e3:.1f} ms")
    if strict:
        expect(statistics.median(taken) <= MOST_SECONDS, "the layers take too long")
    return taken


def draw(client, seed, script):
    job = submit(script, seed=seed, steps=1)
    client.submit(job)
    layers, arrived = [], 0.0
    for event in client.events(job.job):
        if isinstance(event, Layer):
            layers.append(event)
            arrived = time.monotonic()
    expect(isinstance(event, Done), f"the job ended with {event}")
    for layer in layers:
        check_layer(layer, job, int(script.rpartition("=")[2]))
    return layers, arrived


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--strict", action="store_true", help="fail if it takes longer than promised")
    arguments = made.parse_args()
    prove(arguments.times, arguments.strict)
