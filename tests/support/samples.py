"""Sample messages with defaults for the fields that a test does not set."""

from layerfusion.server.client.client import new_job
from layerfusion.server.protocol.messages import Generated, LayerBegin, Submit

DIGEST = "ab" * 32


def job_id(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def submit(job=None, **values):
    """A small job for the embedded model.

    Args:
        job: its id, or a number from which an id is made; by default a new id.
        values: values of other fields.
    """
    defaults = {
        "width": 64,
        "height": 64,
        "background": Generated(prompt="a beach at sunset"),
        "foregrounds": (Generated(prompt="a red apple"),),
        "model": "tiny",
    }
    job = job_id(job) if isinstance(job, int) else job or new_job()
    return Submit(job=job, **{**defaults, **values})


def layer_begin(job, **values):
    """The `LayerBegin` of a Background with one pixel, which is the first event of its job."""
    defaults = {
        "seq": 1,
        "transfer": 0,
        "index": 0,
        "name": "Background",
        "role": "background",
        "x": 0,
        "y": 0,
        "width": 1,
        "height": 1,
        "blend": "normal",
        "opacity": 1.0,
        "visible": True,
        "bytes": 4,
        "sha256": DIGEST,
    }
    return LayerBegin(job=job, **{**defaults, **values})
