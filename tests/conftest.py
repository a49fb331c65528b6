"""For every test, in every process a test starts."""

import gc
import os
import tempfile

from hypothesis import settings

# The embedded model is too small to gain from a second thread, and threads that wait for each other by spinning make a
# busy machine crawl. Read when torch is imported, so set before any test is.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Hardly anything that importing makes becomes garbage; looking for it takes a quarter of the time of importing.
gc.disable()

# Models that whoever runs the tests has added must not change them.
os.environ["LAYERFUSION_MODELS"] = tempfile.mkdtemp(prefix="layerfusion-no-models-")

# The same examples everywhere and on a machine of any speed; `--hypothesis-profile thorough` looks for new ones.
settings.register_profile("quick", max_examples=40, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile("quick")


def pytest_collection_finish():
    """What importing made lives to the end: the garbage collector need not look through it again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()
