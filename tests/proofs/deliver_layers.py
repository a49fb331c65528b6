"""Three layers of 1024 x 1024 px over the loopback.

Promised: 50 ms from the moment the engine has them to the last byte in the client, checked, through the store and its
disk. `--strict` holds it to that, which needs a machine with nothing else to do.
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
    """Deliver so often and print the figures.

    Returns:
        Seconds each time, from the first layer's leaving the engine to the last one's being whole in the client.
    """
    taken = []
    with tempfile.TemporaryDirectory() as folder, ScriptedServer(Path(folder)) as server, server.connect() as client:
        for number in range(times + 1):
            # New bytes each time, or the store would have them already.
            layers, arrived = draw(client, number, f"stamp layers={LAYERS} side={SIDE}")
            left = min(float(layer.begin.name) for layer in layers)
            if number:  # the first is the server's first, too
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
