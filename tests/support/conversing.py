"""What a client says to a server with a scripted engine, and what it hears."""

import samples
from layerfusion.server.client.client import Layer


def submit(script="layers=2", **values):
    """A job for the scripted engine."""
    return samples.submit(blended_prompt=script, **{"steps": 2, **values})


def draw(client, job):
    """Submit a job and return all its events."""
    client.submit(job)
    return list(client.events(job.job))


def layers(events):
    return {event.begin.index: event.pixels for event in events if isinstance(event, Layer)}


def receive(client, kind):
    return client._next(lambda item: isinstance(item, kind))
