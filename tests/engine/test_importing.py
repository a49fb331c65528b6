import gc
import importlib.util
import sys

import pytest

from layerfusion.engine.importing import paused_collection, without


def test_the_collector_is_paused_inside_the_block_and_left_as_it_was():
    with paused_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), paused_collection():
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with paused_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_package_seems_not_to_be_installed_inside_the_block():
    name = "tabnanny"  # any module of Python's that nobody imports
    sys.modules.pop(name, None)
    with without(name):
        assert importlib.util.find_spec(name) is None
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    with pytest.raises(RuntimeError), without(name):
        raise RuntimeError
    found = importlib.import_module(name)
    with without(name):
        assert importlib.import_module(name) is found, "what is imported already stays"
